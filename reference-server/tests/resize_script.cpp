#include "reference-server/tests/resize_script.hpp"

#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/backend/sparse_memory.hpp"
#include "reference-server/catalogue.hpp"
#include "reference-server/session/session.hpp"
#include "reference-server/tests/support.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace refserver {
namespace {

using nbd::detail::load_big;

std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) {
        words.push_back(word);
    }
    return words;
}

template <class Number>
void put(nbd::Buffer& to, Number number) {
    for (std::size_t i = sizeof(Number); i > 0; --i) {
        to.push_back(static_cast<std::uint8_t>(number >> (8 * (i - 1))));
    }
}

std::string error_name(std::uint32_t number) {
    switch (number) {
    case 0:
        return "ok";
    case 1:
        return "EPERM";
    case 5:
        return "EIO";
    case 12:
        return "ENOMEM";
    case 22:
        return "EINVAL";
    case 28:
        return "ENOSPC";
    case 95:
        return "ENOTSUP";
    case 108:
        return "ESHUTDOWN";
    default:
        return fmt::format("error {}", number);
    }
}

std::string capability_letters(std::uint16_t capabilities) {
    constexpr std::string_view letters = "ESAIZQNX????????";
    std::string text;
    for (std::size_t bit = 0; bit < letters.size(); ++bit) {
        if ((capabilities >> bit & 1) != 0) {
            text += letters[bit];
        }
    }
    return text;
}

/// What bytes look like that were read at an offset.
std::string content(std::uint64_t offset, const nbd::Buffer& data) {
    bool zero = true;
    bool junk = true;
    bool written = true;
    for (std::size_t i = 0; i < data.size(); ++i) {
        zero = zero && data[i] == 0;
        junk = junk && data[i] == SparseMemory::junk(offset + i);
        written = written && data[i] == 'x';
    }
    return zero ? "zero" : junk ? "junk" : written ? "x" : "mixed";
}

/// One connection: bytes in, words out.
class Connection {
  public:
    Connection(ExportCatalogue& catalogue, std::string export_name, const std::string& style)
      : export_name_(std::move(export_name))
      , session_(options_, catalogue, pool_, trace_) {
        session_.on_size_change([this] { woken_ = true; });
        run();
        input_.erase(input_.begin(), input_.begin() + 18);
        nbd::Buffer flags;
        put<std::uint32_t>(flags, 3);
        feed(flags);
        if (style != "simple") {
            extended_ = style == "extended";
            structured_ = true;
            nbd::Buffer option;
            put<std::uint64_t>(option, nbd::option_magic);
            put<std::uint32_t>(option, extended_ ? 11 : 8);
            put<std::uint32_t>(option, 0);
            feed(option);
            input_.erase(input_.begin(), input_.begin() + 20);
        }
    }

    std::string act(const std::vector<std::string>& words) {
        const std::string& verb = words.front();
        if (verb == "ask" || verb == "go") {
            return ask(verb == "go" ? 7 : 6, words.size() > 1 && words[1] == "info");
        }
        if (verb == "name") {
            return ask_by_name();
        }
        if (verb == "hold") {
            holding_ = true;
        } else if (verb == "release") {
            holding_ = false;
        } else if (verb == "take") {
            receive(std::stoull(words.at(1)));
        } else if (verb == "shutdown") {
            session_.shut_down();
        } else if (verb == "end") {
            session_.end_of_input();
        } else if (verb != "-") {
            request(words);
        }
        run();
        return {};
    }

    /// Lets the server work, and takes what it sends.
    void run() {
        do {
            if (std::exchange(woken_, false)) {
                session_.tell_size();
            }
            while (Operation* operation = session_.next_operation()) {
                session_.served().perform(*operation);
                session_.complete(*operation);
            }
            if (!holding_) {
                receive(~std::uint64_t{0});
            }
        } while (woken_ || (!holding_ && !session_.output().empty()));
    }

    std::string seen() {
        std::string text;
        const auto say = [&text](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
        while (!input_.empty()) {
            const auto reply = structured_ ? next_chunk() : next_simple();
            if (!reply) {
                break;
            }
            if (!reply->empty()) {
                say(*reply);
            }
        }
        if (session_.finished() && !std::exchange(told_end_, true)) {
            say("closed");
        }
        return text;
    }

  private:
    struct Asked {
        nbd::Command command = nbd::Command::read;
        std::uint64_t offset = 0;
        nbd::Buffer data; ///< what a read got so far
    };

    void feed(nbd::Bytes input) {
        while (!input.empty() && session_.wants_input()) {
            const iovec first = session_.input_space()[0];
            const std::size_t part = std::min(first.iov_len, input.size());
            if (part == 0) {
                return;
            }
            std::memcpy(first.iov_base, input.data(), part);
            input = input.subspan(part);
            session_.received(part);
            run();
        }
    }

    void receive(std::uint64_t most) {
        std::array<iovec, 7> vectors;
        while (most != 0 && !session_.output().empty()) {
            std::uint64_t got = 0;
            const std::size_t count = session_.output().gather(vectors);
            for (std::size_t i = 0; i < count; ++i) {
                const auto part = std::min<std::uint64_t>(vectors.at(i).iov_len, most);
                const auto* from = static_cast<const std::uint8_t*>(vectors.at(i).iov_base);
                input_.insert(input_.end(), from, from + part);
                got += part;
                most -= part;
            }
            session_.sent(got);
        }
    }

    std::string ask(std::uint32_t option, bool for_resize) {
        nbd::Buffer message;
        put<std::uint64_t>(message, nbd::option_magic);
        put<std::uint32_t>(message, option);
        put(message, static_cast<std::uint32_t>(6 + export_name_.size() + (for_resize ? 2 : 0)));
        put(message, static_cast<std::uint32_t>(export_name_.size()));
        message.insert(message.end(), export_name_.begin(), export_name_.end());
        put<std::uint16_t>(message, for_resize ? 1 : 0);
        if (for_resize) {
            put<std::uint16_t>(message, 4);
        }
        feed(message);
        std::string text;
        std::string info;
        while (input_.size() >= 20) {
            const auto type = load_big<std::uint32_t>(input_.data() + 12);
            const auto length = load_big<std::uint32_t>(input_.data() + 16);
            const nbd::Buffer payload(input_.begin() + 20, input_.begin() + 20 + length);
            input_.erase(input_.begin(), input_.begin() + 20 + length);
            if (type >= nbd::option_error_bit) {
                return fmt::format("error {}", type - nbd::option_error_bit);
            }
            if (type != 3) {
                continue;
            }
            const auto kind = load_big<std::uint16_t>(payload.data());
            if (kind == 0) {
                text = told(payload.data() + 2);
            } else if (kind == 4 && length != 24) {
                info = fmt::format(" info of {} bytes", length);
            } else if (kind == 4) {
                const auto largest = load_big<std::uint64_t>(payload.data() + 16);
                info = fmt::format(
                    " {}/{}/{}/{}", capability_letters(load_big<std::uint16_t>(payload.data() + 2)),
                    load_big<std::uint32_t>(payload.data() + 4), load_big<std::uint64_t>(payload.data() + 8),
                    largest == ~std::uint64_t{0} ? "unknown" : std::to_string(largest));
            }
        }
        return text + info;
    }

    std::string ask_by_name() {
        nbd::Buffer message;
        put<std::uint64_t>(message, nbd::option_magic);
        put<std::uint32_t>(message, 1);
        put(message, static_cast<std::uint32_t>(export_name_.size()));
        message.insert(message.end(), export_name_.begin(), export_name_.end());
        feed(message);
        if (input_.size() < 10) {
            return "";
        }
        const std::string text = told(input_.data());
        input_.erase(input_.begin(), input_.begin() + 10);
        return text;
    }

    /// Size and transmission flags.
    static std::string told(const std::uint8_t* at) {
        const bool resize = (load_big<std::uint16_t>(at + 8) & nbd::transmission_flag::send_resize) != 0;
        return std::to_string(load_big<std::uint64_t>(at)) + (resize ? " resize" : "");
    }

    void request(const std::vector<std::string>& words) {
        static const std::map<std::string, nbd::Command> commands{
            {"plain", nbd::Command::resize},  {"query", nbd::Command::resize},
            {"notify", nbd::Command::resize}, {"cancel", nbd::Command::resize},
            {"write", nbd::Command::write},   {"zero", nbd::Command::write_zeroes},
            {"trim", nbd::Command::trim},     {"cache", nbd::Command::cache},
            {"read", nbd::Command::read},     {"flush", nbd::Command::flush},
            {"disc", nbd::Command::disc},     {"status", nbd::Command::block_status}};
        static const std::map<std::string, std::uint16_t> flags{
            {"fua", 1},     {"nohole", 2},  {"df", 4},       {"fast", 16},
            {"extend", 64}, {"query", 128}, {"notify", 256}, {"cancel", 512}};
        const std::string& verb = words.front();
        nbd::Request request;
        request.type = commands.at(verb);
        request.cookie = ++last_cookie_;
        std::size_t at = 1;
        if (verb == "plain" || verb == "cancel") {
            request.offset = std::stoull(words.at(at++));
        } else if (request.type != nbd::Command::resize && verb != "flush" && verb != "disc") {
            request.offset = std::stoull(words.at(at++));
            request.length = std::stoull(words.at(at++));
        }
        if (request.type == nbd::Command::resize && verb != "plain") {
            request.flags = flags.at(verb);
        }
        std::uint64_t payload = request.type == nbd::Command::write ? request.length : 0;
        for (; at < words.size(); ++at) {
            const auto equals = words[at].find('=');
            const std::string name = words[at].substr(0, equals);
            if (equals == std::string::npos) {
                request.flags |= flags.at(name);
                continue;
            }
            const std::uint64_t value = std::stoull(words[at].substr(equals + 1));
            if (name == "off") {
                request.offset = value;
            } else if (name == "len") {
                request.length = value;
            } else if (name == "cookie") {
                request.cookie = value;
            } else if (name == "payload") {
                request.length = payload = value;
            } else {
                throw std::invalid_argument(words[at]);
            }
        }
        last_cookie_ = request.cookie;
        asked_[request.cookie] = {request.type, request.offset, {}};
        nbd::Buffer message;
        put(message, extended_ ? nbd::extended_request_magic : nbd::request_magic);
        put(message, static_cast<std::uint16_t>(request.flags | (extended_ && payload != 0 ? 32 : 0)));
        put(message, static_cast<std::uint16_t>(request.type));
        put(message, request.cookie);
        put(message, request.offset);
        if (extended_) {
            put(message, request.length);
        } else {
            put(message, static_cast<std::uint32_t>(request.length));
        }
        message.insert(message.end(), payload, 'x');
        lengths_[request.cookie] = request.length;
        feed(message);
    }

    std::string with_cookie(std::string text, std::uint64_t cookie) const {
        return cookie == last_cookie_ ? text : text + " @" + std::to_string(cookie);
    }

    std::optional<std::string> next_simple() {
        if (input_.size() < 16) {
            return std::nullopt;
        }
        const auto error = load_big<std::uint32_t>(input_.data() + 4);
        const auto cookie = load_big<std::uint64_t>(input_.data() + 8);
        const Asked& asked = asked_.at(cookie);
        std::size_t size = 16;
        std::string text = error_name(error);
        if (asked.command == nbd::Command::read && error == 0) {
            size += lengths_.at(cookie);
            text = content(asked.offset, {input_.begin() + 16, input_.begin() + static_cast<long>(size)});
        }
        input_.erase(input_.begin(), input_.begin() + static_cast<long>(size));
        return with_cookie(text, cookie);
    }

    std::optional<std::string> next_chunk() {
        const std::size_t header = extended_ ? 32 : 20;
        if (input_.size() < header) {
            return std::nullopt;
        }
        const auto cookie = load_big<std::uint64_t>(input_.data() + 8);
        const std::uint64_t length = extended_ ? load_big<std::uint64_t>(input_.data() + 24)
                                               : load_big<std::uint32_t>(input_.data() + 16);
        if (input_.size() < header + length) {
            return std::nullopt;
        }
        const bool done = (load_big<std::uint16_t>(input_.data() + 4) & 1) != 0;
        const auto type = load_big<std::uint16_t>(input_.data() + 6);
        Asked& asked = asked_.at(cookie);
        const bool echoes = !extended_ || load_big<std::uint64_t>(input_.data() + 16) == asked.offset;
        const nbd::Buffer payload(input_.begin() + static_cast<long>(header),
                                  input_.begin() + static_cast<long>(header + length));
        input_.erase(input_.begin(), input_.begin() + static_cast<long>(header + length));
        std::string text = chunk_text(type, payload, asked);
        if (text.empty() && done) {
            text = content(asked.offset, asked.data);
        } else if (!text.empty() && !done) {
            text += " more";
        }
        return text.empty() ? text : with_cookie(text + (echoes ? "" : " without its offset"), cookie);
    }

    static std::string chunk_text(std::uint16_t type, const nbd::Buffer& payload, Asked& asked) {
        switch (type) {
        case 0:
            return "ok";
        case 1:
            asked.data.insert(asked.data.end(), payload.begin() + 8, payload.end());
            return "";
        case 2:
            asked.data.resize(asked.data.size() + load_big<std::uint32_t>(payload.data() + 8));
            return "";
        case 7: {
            if (payload.size() != 12) {
                return fmt::format("size of {} bytes", payload.size());
            }
            const auto flags = load_big<std::uint32_t>(payload.data() + 8);
            return fmt::format("size={}{}{}{}{}", load_big<std::uint64_t>(payload.data()),
                               (flags & 1) != 0 ? " zeroed" : "", (flags & 2) != 0 ? " external" : "",
                               (flags & 4) != 0 ? " coalesced" : "", (flags & ~7U) != 0 ? " ?" : "");
        }
        default:
            return type >= nbd::chunk_error_bit ? error_name(load_big<std::uint32_t>(payload.data()))
                                                : fmt::format("chunk {}", type);
        }
    }

    const std::string export_name_;
    const SessionOptions options_;
    BufferPool pool_;
    const Trace trace_ = [](std::string_view line) {
        if (line.empty()) {
            throw std::logic_error("an empty line in the trace");
        }
    };
    bool woken_ = false;
    Session session_;
    bool structured_ = false;
    bool extended_ = false;
    bool holding_ = false;
    bool told_end_ = false;
    std::uint64_t last_cookie_ = 0;
    std::map<std::uint64_t, Asked> asked_;
    std::map<std::uint64_t, std::uint64_t> lengths_;
    nbd::Buffer input_;
};

std::string trimmed(const std::string& text) {
    const auto begin = text.find_first_not_of(' ');
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

} // namespace

std::optional<std::string> play(const std::string& knobs, const std::string& script) {
    KnobCatalogue catalogue({});
    // The disk stays while connections come and go.
    const Found found = catalogue.find(knobs);
    std::map<std::string, std::unique_ptr<Connection>> connections;
    std::istringstream lines(script);
    for (std::string line; std::getline(lines, line);) {
        const auto arrow = line.find("=>");
        const auto words = words_of(line.substr(0, arrow));
        if (words.empty()) {
            continue;
        }
        const std::string expected = arrow == std::string::npos ? "" : trimmed(line.substr(arrow + 2));
        std::string seen;
        if (words[0] == "*") {
            seen = found.served->resize_from_outside(std::stoull(words.at(2))).value_or("");
            for (const auto& [name, connection] : connections) {
                connection->run();
            }
        } else if (words.at(1) == "connect" || words[1] == "open") {
            connections[words[0]] = std::make_unique<Connection>(catalogue, knobs, words.at(2));
            if (words[1] == "open") {
                std::vector<std::string> rest(words.begin() + 2, words.end());
                rest[0] = "go";
                seen = connections[words[0]]->act(rest);
            }
        } else {
            Connection& connection = *connections.at(words[0]);
            seen = connection.act({words.begin() + 1, words.end()});
            for (const auto& [name, each] : connections) {
                each->run();
            }
            if (seen.empty()) {
                seen = connection.seen();
            }
        }
        if (seen != expected) {
            return fmt::format("{}\n  came out as: {}", line, seen);
        }
    }
    return std::nullopt;
}

} // namespace refserver
