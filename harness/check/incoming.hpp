#pragma once

// What a server says, cut into messages for those who wait for them. No sockets.

#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

namespace harness::check {

/// A greeting, of either style.
struct Greeting {
    bool newstyle = false;
    std::uint16_t handshake_flags = 0;
    std::uint64_t size = 0;               ///< oldstyle; bytes
    std::uint16_t transmission_flags = 0; ///< oldstyle
};

/// A reply to an option, with its data.
struct OptionAnswer {
    nbd::OptionReply header;
    nbd::Buffer data;
};

/// The reply to NBD_OPT_EXPORT_NAME; its padding has come, too.
struct ExportEntered {
    nbd::ExportNameReply reply;
};

/// A simple reply, with the data of a read.
struct SimpleAnswer {
    nbd::SimpleReply reply;
    nbd::Buffer data;
};

/// A chunk of a structured or extended reply, with its payload.
struct ChunkAnswer {
    nbd::Chunk chunk;
    nbd::Buffer payload;
};

/// Bytes that are no message of the protocol here.
struct Garbage {
    std::string why;
};

using Incoming = std::variant<Greeting, OptionAnswer, ExportEntered, SimpleAnswer, ChunkAnswer, Garbage>;

/// What decides how the next bytes of a server are to be read.
struct Reading {
    enum class Phase {
        greeting,
        haggling,
        transmission,
        encrypted ///< TLS: what comes cannot be read, but must not be a reply in clear
    };
    Phase phase = Phase::greeting;
    bool awaits_export_name = false; ///< the last option was NBD_OPT_EXPORT_NAME
    bool no_zeroes = false;          ///< both sides agreed to leave out the padding
    /// Bytes that follow a successful simple reply, by the cookies of open reads.
    std::map<std::uint64_t, std::uint64_t> read_lengths;
};

/// The longest message that is taken: reads of twice what always works, and room for headers. A longer one is
/// garbage, so that no server makes the suite keep more.
inline constexpr std::uint64_t longest_message = std::uint64_t{2} * nbd::default_max_payload + 4096;

/// Takes the next message off the front of `bytes`; nothing if it is not complete yet.
[[nodiscard]] std::optional<Incoming> take_message(nbd::Buffer& bytes, const Reading& reading);

} // namespace harness::check
