#include "harness/check/outgoing.hpp"

#include "harness/peers/pattern.hpp"
#include "protocol/handshake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace harness::check {
namespace {

constexpr std::pair<std::string_view, std::uint16_t> flag_words[] = {
    {"fua", nbd::command_flag::fua},
    {"no-hole", nbd::command_flag::no_hole},
    {"df", nbd::command_flag::df},
    {"req-one", nbd::command_flag::req_one},
    {"fast-zero", nbd::command_flag::fast_zero},
    {"payload-len", nbd::command_flag::payload_len},
    {"extend", nbd::command_flag::extend},
    {"query", nbd::command_flag::query},
    {"notify", nbd::command_flag::notify},
    {"cancel", nbd::command_flag::cancel},
};

constexpr std::pair<std::string_view, std::uint32_t> client_flag_words[] = {
    {"fixed-newstyle", nbd::client_flag::fixed_newstyle},
    {"no-zeroes", nbd::client_flag::no_zeroes},
};

std::optional<std::uint64_t> plain_number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    const std::string_view digits = hex ? text.substr(2) : text;
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
    const bool whole = !digits.empty() && error == std::errc{} && end == digits.data() + digits.size();
    return whole ? std::optional(value) : std::nullopt;
}

/// A number of an enumeration by its name among the first `most` values.
template <class Enum>
std::uint32_t named_number(const YamlNode& node, std::uint32_t most, const char* what) {
    const std::string text = node.text();
    if (const auto number = plain_number(text)) {
        return static_cast<std::uint32_t>(*number);
    }
    std::vector<std::string> names;
    for (std::uint32_t value = 0; value < most; ++value) {
        names.push_back(nbd::name(static_cast<Enum>(value)));
        if (names.back() == text) {
            return value;
        }
    }
    node.fail(fmt::format("'{}' is no {}{}", text, what, did_you_mean(text, names)));
}

std::string hex_bytes(const YamlNode& node) {
    std::string digits = node.text();
    std::erase_if(digits, [](char c) { return c == ' ' || c == '\n'; });
    std::string bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        unsigned value = 0;
        const auto [end, error] =
            std::from_chars(digits.data() + i, digits.data() + std::min(i + 2, digits.size()), value, 16);
        if (error != std::errc{} || end != digits.data() + i + 2) {
            node.fail(fmt::format("'{}' are no bytes: pairs of hex digits, such as \"00 ff\"", node.text()));
        }
        bytes += static_cast<char>(value);
    }
    return bytes;
}

Payload::Piece read_piece(const YamlNode& node, const std::vector<std::string>& names) {
    using Kind = Payload::Piece::Kind;
    if (node.is_scalar()) {
        return {Kind::bytes, hex_bytes(node), {}, {}, 0};
    }
    YamlMap map = node.map();
    Payload::Piece piece;
    if (const auto text = map.optional("text")) {
        piece = {Kind::text, text->text(), {}, {}, 0};
    } else if (const auto zeroes = map.optional("zeroes")) {
        piece = {Kind::zeroes, {}, Number::read(*zeroes, names), {}, 0};
    } else if (const auto pattern = map.optional("pattern")) {
        piece = {Kind::pattern, {}, {}, pattern->number(), 0};
        if (const auto length = map.optional("length")) {
            piece.count = Number::read(*length, names);
        }
    } else if (const auto number = map.optional("number")) {
        piece = {Kind::number, {}, Number::read(*number, names), {}, 0};
        const YamlNode width = map.required("bytes");
        piece.width = static_cast<std::size_t>(width.number());
        if (piece.width < 1 || piece.width > sizeof(std::uint64_t)) {
            width.fail("a number has 1 to 8 bytes");
        }
    } else {
        const YamlNode what = map.required("repeat");
        piece = {Kind::repeat, hex_bytes(what), Number::read(map.required("times"), names), {}, 0};
    }
    map.finish();
    return piece;
}

void put(nbd::Buffer& out, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0;) {
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

void append(nbd::Buffer& out, const nbd::Buffer& bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class Words>
auto flags_of(const YamlNode& node, const Words& words, const char* what) {
    std::uint32_t bits = 0;
    std::vector<std::string> known;
    for (const auto& [word, bit] : words) {
        known.emplace_back(word);
    }
    for (const std::string& text : node.texts()) {
        if (const auto number = plain_number(text)) {
            bits |= static_cast<std::uint32_t>(*number);
            continue;
        }
        const auto found =
            std::ranges::find_if(words, [&](const auto& entry) { return entry.first == text; });
        if (found == std::end(words)) {
            node.fail(fmt::format("'{}' is no {}{}", text, what, did_you_mean(text, known)));
        }
        bits |= found->second;
    }
    return bits;
}

std::uint16_t information_number(const YamlNode& node) {
    return static_cast<std::uint16_t>(named_number<nbd::InfoType>(node, 8, "information type"));
}

/// Beyond what any message of a case needs; an expression that says more is a mistake in the case.
constexpr std::uint64_t most_payload = std::uint64_t{256} << 20;

void fill_in(std::string& text, std::string_view placeholder, const std::string& by) {
    for (std::size_t at = text.find(placeholder); at != std::string::npos;
         at = text.find(placeholder, at + by.size())) {
        text.replace(at, placeholder.size(), by);
    }
}

/// Throws std::invalid_argument with `why` where the text asks for a name that was not listed.
void fill_in_listed(std::string& text, std::string_view placeholder, const std::optional<std::string>& name,
                    const char* why) {
    if (text.find(placeholder) == std::string::npos) {
        return;
    }
    if (!name) {
        throw std::invalid_argument(why);
    }
    fill_in(text, placeholder, *name);
}

std::size_t checked(std::uint64_t count) {
    if (count > most_payload) {
        throw std::invalid_argument(fmt::format("{} bytes are more than a case sends", count));
    }
    return static_cast<std::size_t>(count);
}

} // namespace

const std::vector<std::string_view>& case_variables() {
    static const std::vector<std::string_view> names = {
        "size", "min", "preferred", "max", "smallest", "largest", "granularity", "context", "top", "step"};
    return names;
}

std::optional<std::uint16_t> command_flag_of(std::string_view word) {
    const auto* const found =
        std::ranges::find(flag_words, word, &std::pair<std::string_view, std::uint16_t>::first);
    return found == std::end(flag_words) ? std::nullopt : std::optional(found->second);
}

std::uint32_t option_number(const YamlNode& node) {
    return named_number<nbd::Option>(node, 16, "option");
}

std::uint32_t command_number(const YamlNode& node) {
    return named_number<nbd::Command>(node, 16, "command");
}

Number Number::read(const YamlNode& node, const std::vector<std::string>& names) {
    std::vector<std::string_view> variables = case_variables();
    variables.insert(variables.end(), names.begin(), names.end());
    try {
        return {SizeExpression::parse(node.text(), variables)};
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

Payload Payload::read(const YamlNode& node, const std::vector<std::string>& names) {
    Payload payload;
    if (!node.is_list()) {
        payload.pieces.push_back(read_piece(node, names));
        return payload;
    }
    for (const YamlNode& piece : node.list()) {
        payload.pieces.push_back(read_piece(piece, names));
    }
    return payload;
}

nbd::Buffer Payload::in(const Surroundings& with, std::uint64_t offset, std::uint64_t length) const {
    nbd::Buffer out;
    for (const Piece& piece : pieces) {
        switch (piece.kind) {
        case Piece::Kind::bytes:
            out.insert(out.end(), piece.content.begin(), piece.content.end());
            break;
        case Piece::Kind::text: {
            std::string text = piece.content;
            fill_in(text, "{export}", with.export_name);
            fill_in_listed(text, "{listed}", with.listed_name, "the server has listed no export");
            fill_in_listed(text, "{other}", with.other_name, "the server has listed no other export");
            out.insert(out.end(), text.begin(), text.end());
            break;
        }
        case Piece::Kind::zeroes:
            out.resize(out.size() + checked(piece.count->in(with)));
            break;
        case Piece::Kind::repeat:
            for (std::size_t i = checked(piece.count->in(with)); i > 0; --i) {
                out.insert(out.end(), piece.content.begin(), piece.content.end());
            }
            break;
        case Piece::Kind::pattern: {
            const std::size_t begin = out.size();
            out.resize(begin + checked(piece.count ? piece.count->in(with) : length));
            fill_pattern(std::span(out).subspan(begin), offset + begin, *piece.seed);
            break;
        }
        case Piece::Kind::number:
            put(out, piece.count->in(with), piece.width);
            break;
        }
    }
    return out;
}

Outgoing Outgoing::read(const YamlNode& node, const std::vector<std::string>& names) {
    YamlMap map = node.map();
    Outgoing message;
    const auto number = [&](const char* key, std::optional<Number>& into) {
        if (const auto value = map.optional(key)) {
            into = Number::read(*value, names);
        }
    };
    const auto payload = [&](const char* key, std::optional<Payload>& into) {
        if (const auto value = map.optional(key)) {
            into = Payload::read(*value, names);
        }
    };
    if (const auto flags = map.optional("client-flags")) {
        message.kind = Kind::client_flags;
        message.client_flags = flags_of(*flags, client_flag_words, "client flag");
        map.finish();
        return message;
    }
    if (const auto option = map.optional("option")) {
        message.kind = Kind::option;
        message.option = option_number(*option);
        payload("data", message.data);
        payload("name", message.name);
        number("name-length", message.name_length);
        number("query-length", message.query_length);
        number("count", message.count);
        number("length", message.length);
        number("magic", message.magic);
        if (const auto types = map.optional("info")) {
            for (const YamlNode& type : types->list()) {
                message.information.push_back(information_number(type));
            }
        }
        if (const auto queries = map.optional("queries")) {
            message.queries.emplace();
            for (const YamlNode& query : queries->list()) {
                message.queries->push_back(
                    query.is_scalar() ? Payload{{{Payload::Piece::Kind::text, query.text(), {}, {}, 0}}}
                                      : Payload::read(query, names));
            }
        }
        if (message.query_length && (!message.queries || message.queries->empty())) {
            node.fail("'query-length' is of the last query, but there is none");
        }
        if (message.data && (message.name || message.queries || !message.information.empty())) {
            node.fail("an option has either 'data' or fields, not both");
        }
        map.finish();
        return message;
    }
    if (const auto command = map.optional("request")) {
        message.kind = Kind::request;
        message.command = static_cast<std::uint16_t>(command_number(*command));
        if (const auto flags = map.optional("flags")) {
            message.flags = static_cast<std::uint16_t>(flags_of(*flags, flag_words, "command flag"));
        }
        if (const auto offset = map.optional("offset")) {
            message.offset = Number::read(*offset, names);
        } else {
            message.offset = Number{SizeExpression(0)};
        }
        number("length", message.length);
        number("cookie", message.cookie);
        number("magic", message.magic);
        payload("data", message.data);
        map.optional("bare", [&](const YamlNode& value) { message.bare = value.boolean(); });
        map.optional("as", [&](const YamlNode& value) { message.label = value.text(); });
        map.finish();
        return message;
    }
    message.kind = Kind::bytes;
    message.data = Payload::read(map.required("bytes"), names);
    map.finish();
    return message;
}

nbd::Request Outgoing::request(const Surroundings& with, std::uint64_t own_cookie) const {
    nbd::Request made;
    made.type = static_cast<nbd::Command>(command);
    made.flags = flags;
    if (with.style == nbd::HeaderStyle::extended && made.type == nbd::Command::write && !bare) {
        made.flags |= nbd::command_flag::payload_len;
    }
    made.cookie = cookie ? cookie->in(with) : own_cookie;
    made.offset = offset.in(with);
    made.length = length ? length->in(with) : 0;
    return made;
}

nbd::Buffer Outgoing::encode(const Surroundings& with, std::uint64_t own_cookie) const {
    nbd::Buffer out;
    switch (kind) {
    case Kind::bytes:
        return data->in(with);
    case Kind::client_flags:
        put(out, client_flags, 4);
        return out;
    case Kind::option: {
        nbd::Buffer content;
        if (data) {
            content = data->in(with);
        } else if (name) {
            const nbd::Buffer text = name->in(with);
            put(content, name_length ? name_length->in(with) : text.size(), 4);
            append(content, text);
            if (queries) {
                put(content, count ? count->in(with) : queries->size(), 4);
                for (const Payload& query : *queries) {
                    const nbd::Buffer bytes = query.in(with);
                    const bool wrong = query_length && &query == &queries->back();
                    put(content, wrong ? query_length->in(with) : bytes.size(), 4);
                    append(content, bytes);
                }
            } else {
                put(content, count ? count->in(with) : information.size(), 2);
                for (const std::uint16_t type : information) {
                    put(content, type, 2);
                }
            }
        }
        put(out, magic ? magic->in(with) : nbd::option_magic, 8);
        put(out, option, 4);
        put(out, length ? length->in(with) : content.size(), 4);
        append(out, content);
        return out;
    }
    case Kind::request:
        break;
    }
    const nbd::Request made = request(with, own_cookie);
    if (with.style == nbd::HeaderStyle::compact && made.length > std::uint64_t{0xffffffff}) {
        throw std::invalid_argument("compact headers have no room for such a length");
    }
    nbd::encode_request_to(out, made, with.style);
    if (magic) {
        const std::uint64_t value = magic->in(with);
        for (std::size_t i = 0; i < 4; ++i) {
            out[i] = static_cast<std::uint8_t>(value >> (8 * (3 - i)));
        }
    }
    if (data) {
        append(out, data->in(with, made.offset, made.length));
    }
    return out;
}

} // namespace harness::check
