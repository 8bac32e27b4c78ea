#include "faults/stream.hpp"

#include <algorithm>

namespace faults {
namespace {

constexpr std::size_t option_header = nbd::wire_size<nbd::OptionRequest>;
constexpr std::size_t option_reply_header = nbd::wire_size<nbd::OptionReply>;
constexpr std::size_t simple_header = nbd::wire_size<nbd::SimpleReply>;
constexpr std::size_t newstyle_size = nbd::wire_size<nbd::NewstyleGreeting>;
constexpr std::size_t oldstyle_size = nbd::wire_size<nbd::OldstyleGreeting> + nbd::handshake_padding;
constexpr std::size_t export_reply_size = sizeof(std::uint64_t) + sizeof(std::uint16_t);

} // namespace

void Stream::feed(nbd::Bytes bytes) {
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        begin_ = 0;
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Stream::restart(nbd::Bytes bytes) {
    lost_ = false;
    bytes_.insert(bytes_.begin() + static_cast<std::ptrdiff_t>(begin_), bytes.begin(), bytes.end());
}

nbd::Buffer Stream::take(std::size_t bytes) {
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_);
    nbd::Buffer taken(from, from + static_cast<std::ptrdiff_t>(bytes));
    begin_ += bytes;
    // Moving the remainder to the front now and then keeps the memory small and costs little.
    constexpr std::size_t worth_moving = 65536;
    if (begin_ >= worth_moving && begin_ * 2 >= bytes_.size()) {
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
        begin_ = 0;
    }
    return taken;
}

Message Stream::raw(std::size_t bytes) {
    return Raw{from_, take(bytes)};
}

std::optional<Message> Stream::give_up() {
    lost_ = true;
    return waiting() == 0 ? std::nullopt : std::optional(raw(waiting()));
}

std::optional<Message> Stream::rest() {
    return waiting() == 0 ? std::nullopt : std::optional(raw(waiting()));
}

std::optional<Message> Stream::next(const Conversation& told) {
    if (waiting() == 0) {
        return std::nullopt;
    }
    if (lost_ || told.tls) {
        return raw(waiting());
    }
    if (uncut_ > 0) {
        const std::size_t some = static_cast<std::size_t>(std::min<std::uint64_t>(uncut_, waiting()));
        uncut_ -= some;
        return raw(some);
    }
    return from_ == Side::client ? client_message(told) : server_message(told);
}

std::optional<Message> Stream::client_message(const Conversation& told) {
    if (waiting() < sizeof(std::uint32_t)) {
        return std::nullopt;
    }
    if (!begun_ && !told.oldstyle) {
        begun_ = true;
        const ClientFlags flags{number<std::uint32_t>(0)};
        (void)take(sizeof flags.flags);
        return flags;
    }
    // All messages of a client begin with a number that tells what they are.
    switch (number<std::uint32_t>(0)) {
    case static_cast<std::uint32_t>(nbd::option_magic >> 32):
        return option();
    case nbd::request_magic:
        return request(nbd::HeaderStyle::compact);
    case nbd::extended_request_magic:
        return request(nbd::HeaderStyle::extended);
    default:
        return give_up();
    }
}

std::optional<Message> Stream::option() {
    if (waiting() < option_header) {
        return std::nullopt;
    }
    OptionRequest found;
    found.magic = number<std::uint64_t>(0);
    if (found.magic != nbd::option_magic) {
        return give_up();
    }
    found.option = number<nbd::Option>(8);
    const auto length = number<std::uint32_t>(12);
    if (length > longest_option) {
        found.length = length;
        (void)take(option_header);
        uncut_ = length;
        return found;
    }
    if (waiting() < option_header + length) {
        return std::nullopt;
    }
    (void)take(option_header);
    found.payload = take(length);
    return found;
}

std::optional<Message> Stream::request(nbd::HeaderStyle style) {
    const std::size_t header = nbd::request_header_size(style);
    if (waiting() < header) {
        return std::nullopt;
    }
    const auto decoded = nbd::decode_request(nbd::Bytes(bytes_).subspan(begin_, header), style);
    Request found{number<std::uint32_t>(0), style,           decoded->flags, decoded->type,
                  decoded->cookie,          decoded->offset, decoded->length};
    const std::uint64_t payload = nbd::payload_length(*decoded, style);
    if (payload > longest_payload) {
        (void)take(header);
        uncut_ = payload;
        return found;
    }
    if (waiting() < header + payload) {
        return std::nullopt;
    }
    (void)take(header);
    found.payload = take(static_cast<std::size_t>(payload));
    return found;
}

std::optional<Message> Stream::server_message(const Conversation& told) {
    if (!begun_) {
        return greeting();
    }
    if (told.awaits_export_reply) {
        return export_reply(told);
    }
    if (waiting() < sizeof(std::uint32_t)) {
        return std::nullopt;
    }
    switch (number<std::uint32_t>(0)) {
    case static_cast<std::uint32_t>(nbd::option_reply_magic >> 32):
        return option_reply();
    case nbd::simple_reply_magic:
        return simple_reply(told);
    case nbd::structured_reply_magic:
        return chunk(nbd::HeaderStyle::compact);
    case nbd::extended_reply_magic:
        return chunk(nbd::HeaderStyle::extended);
    default:
        return give_up();
    }
}

std::optional<Message> Stream::greeting() {
    if (waiting() < newstyle_size) {
        return std::nullopt;
    }
    Greeting found;
    found.magic = number<std::uint64_t>(0);
    found.style = number<std::uint64_t>(8);
    found.oldstyle = found.style == nbd::oldstyle_magic;
    if (!found.oldstyle) {
        found.flags = number<std::uint16_t>(16);
        (void)take(newstyle_size);
    } else {
        if (waiting() < oldstyle_size) {
            return std::nullopt;
        }
        found.size = number<std::uint64_t>(16);
        found.flags = number<std::uint16_t>(24);
        found.transmission_flags = number<std::uint16_t>(26);
        (void)take(oldstyle_size - nbd::handshake_padding);
        found.padding = take(nbd::handshake_padding);
    }
    begun_ = true;
    return found;
}

std::optional<Message> Stream::option_reply() {
    if (waiting() < option_reply_header) {
        return std::nullopt;
    }
    OptionReply found;
    found.magic = number<std::uint64_t>(0);
    const auto length = number<std::uint32_t>(16);
    if (found.magic != nbd::option_reply_magic || length > longest_payload) {
        return give_up();
    }
    if (waiting() < option_reply_header + length) {
        return std::nullopt;
    }
    found.option = number<nbd::Option>(8);
    found.type = number<nbd::OptionReplyType>(12);
    (void)take(option_reply_header);
    found.payload = take(length);
    return found;
}

std::optional<Message> Stream::export_reply(const Conversation& told) {
    const std::size_t padding = told.no_zeroes ? 0 : nbd::handshake_padding;
    if (waiting() < export_reply_size + padding) {
        return std::nullopt;
    }
    ExportReply found{number<std::uint64_t>(0), number<std::uint16_t>(8), {}};
    (void)take(export_reply_size);
    found.padding = take(padding);
    return found;
}

std::optional<Message> Stream::simple_reply(const Conversation& told) {
    if (waiting() < simple_header) {
        return std::nullopt;
    }
    Reply found{number<std::uint32_t>(0), number<nbd::Error>(4), number<std::uint64_t>(8)};
    const auto request = told.delivered.lower_bound(found.cookie);
    const bool carries = request != told.delivered.end() && request->first == found.cookie &&
                         request->second.type == nbd::Command::read && found.error == nbd::Error::none;
    const std::uint64_t data = carries ? request->second.length : 0;
    if (data > longest_payload) {
        (void)take(simple_header);
        uncut_ = data;
        return found;
    }
    if (waiting() < simple_header + data) {
        return std::nullopt;
    }
    (void)take(simple_header);
    found.data = take(static_cast<std::size_t>(data));
    return found;
}

std::optional<Message> Stream::chunk(nbd::HeaderStyle style) {
    const std::size_t header = nbd::chunk_header_size(style);
    if (waiting() < header) {
        return std::nullopt;
    }
    const auto decoded = nbd::decode_chunk(nbd::Bytes(bytes_).subspan(begin_, header), style);
    Chunk found{number<std::uint32_t>(0), style,          decoded->flags, decoded->type,
                decoded->cookie,          decoded->offset};
    if (decoded->length > longest_payload) {
        found.length = decoded->length;
        (void)take(header);
        uncut_ = decoded->length;
        return found;
    }
    if (waiting() < header + decoded->length) {
        return std::nullopt;
    }
    (void)take(header);
    found.payload = take(static_cast<std::size_t>(decoded->length));
    return found;
}

} // namespace faults
