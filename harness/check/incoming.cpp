#include "harness/check/incoming.hpp"

#include <fmt/format.h>

namespace harness::check {
namespace {

template <class M>
M decoded(nbd::Bytes bytes) {
    return nbd::decode_prefix<M>(bytes).value();
}

std::uint64_t number(nbd::Bytes bytes, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = (value << 8) | bytes[i];
    }
    return value;
}

Garbage wrong_magic(std::string_view what, std::uint64_t found) {
    return {fmt::format("where {} is due the magic number is {:#x}", what, found)};
}

nbd::Buffer part(nbd::Bytes bytes, std::size_t begin, std::size_t size) {
    const nbd::Bytes piece = bytes.subspan(begin, size);
    return {piece.begin(), piece.end()};
}

/// A message and how many bytes it takes; nothing if it is not complete.
struct Taken {
    std::optional<Incoming> message;
    std::size_t size = 0;
};

Taken incomplete() {
    return {};
}

/// Checks that a message of `header + payload` bytes is there. `use` makes it.
template <class Use>
Taken with_payload(nbd::Bytes bytes, std::size_t header, std::uint64_t payload, Use use) {
    if (payload > longest_message) {
        return {Garbage{fmt::format("a message announces {} bytes", payload)}, bytes.size()};
    }
    const std::size_t whole = header + static_cast<std::size_t>(payload);
    if (bytes.size() < whole) {
        return incomplete();
    }
    return {use(part(bytes, header, static_cast<std::size_t>(payload))), whole};
}

Taken greeting(nbd::Bytes bytes) {
    constexpr std::size_t start = nbd::wire_size<nbd::GreetingStart>;
    if (bytes.size() >= 8 && number(bytes, 8) != nbd::init_magic) {
        return {wrong_magic("a greeting", number(bytes, 8)), bytes.size()};
    }
    if (bytes.size() < start) {
        return incomplete();
    }
    const std::uint64_t style = number(bytes.subspan(8), 8);
    if (style == nbd::option_magic) {
        constexpr std::size_t size = nbd::wire_size<nbd::NewstyleGreeting>;
        if (bytes.size() < size) {
            return incomplete();
        }
        return {Greeting{true, decoded<nbd::NewstyleGreeting>(bytes).handshake_flags, 0, 0}, size};
    }
    if (style != nbd::oldstyle_magic) {
        return {wrong_magic("the second word of a greeting", style), bytes.size()};
    }
    constexpr std::size_t size = nbd::wire_size<nbd::OldstyleGreeting> + nbd::handshake_padding;
    if (bytes.size() < size) {
        return incomplete();
    }
    const auto old = decoded<nbd::OldstyleGreeting>(bytes);
    return {Greeting{false, old.handshake_flags, old.size, old.transmission_flags}, size};
}

Taken option_answer(nbd::Bytes bytes) {
    constexpr std::size_t header = nbd::wire_size<nbd::OptionReply>;
    if (bytes.size() >= 8 && number(bytes, 8) != nbd::option_reply_magic) {
        return {wrong_magic("a reply to an option", number(bytes, 8)), bytes.size()};
    }
    if (bytes.size() < header) {
        return incomplete();
    }
    const auto reply = decoded<nbd::OptionReply>(bytes);
    return with_payload(bytes, header, reply.length, [&](nbd::Buffer data) {
        return OptionAnswer{reply, std::move(data)};
    });
}

Taken entered(nbd::Bytes bytes, bool no_zeroes) {
    constexpr std::size_t header = nbd::wire_size<nbd::ExportNameReply>;
    return with_payload(bytes, header, no_zeroes ? 0 : nbd::handshake_padding, [&](const nbd::Buffer&) {
        return ExportEntered{decoded<nbd::ExportNameReply>(bytes)};
    });
}

Taken reply(nbd::Bytes bytes, const Reading& reading) {
    if (bytes.size() < 4) {
        return incomplete();
    }
    const auto magic = static_cast<std::uint32_t>(number(bytes, 4));
    if (magic == nbd::simple_reply_magic) {
        constexpr std::size_t header = nbd::wire_size<nbd::SimpleReply>;
        if (bytes.size() < header) {
            return incomplete();
        }
        const auto simple = decoded<nbd::SimpleReply>(bytes);
        const auto read = reading.read_lengths.find(simple.cookie);
        const bool has_data = simple.error == nbd::Error::none && read != reading.read_lengths.end();
        return with_payload(bytes, header, has_data ? read->second : 0, [&](nbd::Buffer data) {
            return SimpleAnswer{simple, std::move(data)};
        });
    }
    if (magic != nbd::structured_reply_magic && magic != nbd::extended_reply_magic) {
        return {wrong_magic("a reply", magic), bytes.size()};
    }
    const auto style =
        magic == nbd::extended_reply_magic ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
    const std::size_t header = nbd::chunk_header_size(style);
    if (bytes.size() < header) {
        return incomplete();
    }
    const nbd::Chunk chunk = nbd::decode_chunk(bytes, style).value();
    return with_payload(bytes, header, chunk.length, [&](nbd::Buffer payload) {
        return ChunkAnswer{chunk, std::move(payload)};
    });
}

} // namespace

std::optional<Incoming> take_message(nbd::Buffer& bytes, const Reading& reading) {
    if (bytes.empty()) {
        return std::nullopt;
    }
    Taken taken;
    if (reading.phase == Reading::Phase::encrypted) {
        if (bytes.size() >= 8 && number(bytes, 8) == nbd::option_reply_magic) {
            taken = {Garbage{"TLS is in use, but a reply came in clear"}, bytes.size()};
        }
    } else if (reading.phase == Reading::Phase::greeting) {
        taken = greeting(bytes);
    } else if (reading.phase == Reading::Phase::transmission) {
        taken = reply(bytes, reading);
    } else if (reading.awaits_export_name &&
               (bytes.size() < 8 || number(bytes, 8) != nbd::option_reply_magic)) {
        // Some servers refuse the option by an option reply, which they must not; it is told as what it is.
        taken = entered(bytes, reading.no_zeroes);
    } else {
        taken = option_answer(bytes);
    }
    if (taken.message) {
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken.size));
    }
    return std::move(taken.message);
}

} // namespace harness::check
