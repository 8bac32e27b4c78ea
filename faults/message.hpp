#pragma once

// One message of NBD, of either direction: every field of it can be changed, also to what is not allowed, and
// it can be encoded again. Numbers that a message begins with are fields here, so that they can be wrong.

#include "protocol/codec.hpp"
#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <optional>
#include <variant>

namespace faults {

/// One of the two programs of a connection. Of a message: the one that sends it.
enum class Side : std::uint8_t { client, server };

/// The one at the other end.
[[nodiscard]] constexpr Side other(Side side) {
    return side == Side::client ? Side::server : Side::client;
}

/// The first message of a server, of either style (Newstyle negotiation, Oldstyle negotiation).
struct Greeting {
    static constexpr Side from = Side::server;

    std::uint64_t magic = nbd::init_magic;
    std::uint64_t style = nbd::option_magic;
    std::uint16_t flags = 0; ///< `nbd::handshake_flag`
    bool oldstyle = false;   ///< the layout; what follows is there only then
    std::uint64_t size = 0;  ///< of the export, in bytes
    std::uint16_t transmission_flags = 0;
    nbd::Buffer padding; ///< 124 bytes of zeroes
};

/// The client's answer to a newstyle greeting.
struct ClientFlags {
    static constexpr Side from = Side::client;

    std::uint32_t flags = 0; ///< `nbd::client_flag`
};

/// An option with its data.
struct OptionRequest {
    static constexpr Side from = Side::client;

    std::uint64_t magic = nbd::option_magic;
    nbd::Option option = nbd::Option::abort;
    std::optional<std::uint32_t> length = {}; ///< what is announced, if not the size of the payload
    nbd::Buffer payload = {};
};

/// A reply to an option with its data.
struct OptionReply {
    static constexpr Side from = Side::server;

    std::uint64_t magic = nbd::option_reply_magic;
    nbd::Option option = nbd::Option::abort;
    nbd::OptionReplyType type = nbd::OptionReplyType::ack;
    std::optional<std::uint32_t> length = {}; ///< what is announced, if not the size of the payload
    nbd::Buffer payload = {};
};

/// The answer to NBD_OPT_EXPORT_NAME.
struct ExportReply {
    static constexpr Side from = Side::server;

    std::uint64_t size = 0;  ///< of the export, in bytes
    std::uint16_t flags = 0; ///< `nbd::transmission_flag`
    nbd::Buffer padding;     ///< 124 bytes of zeroes unless NO_ZEROES was agreed
};

/// A request, with its data where it carries some.
struct Request {
    static constexpr Side from = Side::client;

    std::uint32_t magic = nbd::request_magic;
    nbd::HeaderStyle style = nbd::HeaderStyle::compact;
    std::uint16_t flags = 0; ///< `nbd::command_flag`
    nbd::Command type = nbd::Command::read;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0; ///< as announced; the payload may be another
    nbd::Buffer payload = {};
};

/// A simple reply, with its data where it carries some.
struct Reply {
    static constexpr Side from = Side::server;

    std::uint32_t magic = nbd::simple_reply_magic;
    nbd::Error error = nbd::Error::none;
    std::uint64_t cookie = 0;
    nbd::Buffer data = {};
};

/// A chunk of a structured or extended reply.
struct Chunk {
    static constexpr Side from = Side::server;

    std::uint32_t magic = nbd::structured_reply_magic;
    nbd::HeaderStyle style = nbd::HeaderStyle::compact;
    std::uint16_t flags = 0; ///< `nbd::reply_flag`
    nbd::ChunkType type = nbd::ChunkType::none;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;                 ///< only in an extended header
    std::optional<std::uint64_t> length = {}; ///< what is announced, if not the size of the payload
    nbd::Buffer payload = {};

    [[nodiscard]] bool done() const { return (flags & nbd::reply_flag::done) != 0; }
};

/// Bytes that make no message: malformed ones, and those behind them; TLS; payloads that are too large to
/// wait for.
struct Raw {
    Side from = Side::client;
    nbd::Buffer bytes;
};

using Message =
    std::variant<Greeting, ClientFlags, OptionRequest, OptionReply, ExportReply, Request, Reply, Chunk, Raw>;

/// The bytes of the message, with whatever its fields say.
[[nodiscard]] nbd::Buffer encode(const Message& message);

/// The message's payload as a structure, if it is well-formed.
template <class M>
[[nodiscard]] std::optional<M> payload_as(const nbd::Buffer& payload) {
    const auto decoded = nbd::decode<M>(payload);
    return decoded ? std::optional<M>(*decoded) : std::nullopt;
}

} // namespace faults
