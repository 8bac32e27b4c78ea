#pragma once

// Cutting one direction of a connection into pieces.

#include "protocol/codec.hpp"

#include <cstdint>

namespace wire {

/// Which piece of a message comes next.
enum class Expect {
    message, ///< the beginning of a message; which one the state decides when its first byte comes
    // ---- from the client
    client_flags,
    option_header,
    option_data,
    request_header,
    request_payload,
    // ---- from the server
    greeting,
    newstyle,
    oldstyle,
    option_reply_header,
    option_reply_data,
    export_name_reply,
    reply_magic,
    simple_reply,
    structured_chunk,
    extended_chunk,
    chunk_content,
    chunk_error,
    chunk_status_start,
    chunk_extents,
    chunk_size,
};

/// One direction of a connection.
struct Stream {
    Expect expect = Expect::message;
    std::size_t need = 0;       ///< bytes of the piece
    nbd::Buffer partial;        ///< what has come of it
    std::uint64_t bulk = 0;     ///< bytes of data that come first
    std::uint64_t position = 0; ///< bytes taken in so far
    std::uint64_t message = 0;  ///< where the message begins that is under way
    bool grows = false;         ///< the piece goes on: what was handed out stays its beginning

    /// What is to come now.
    void await(Expect what, std::size_t bytes) {
        expect = what;
        need = bytes;
    }
    /// Likewise; the bytes of the piece at hand are its beginning. `bytes` counts them.
    void extend(Expect what, std::size_t bytes) {
        await(what, bytes);
        grows = true;
    }
    /// So much data, then another message.
    void next(std::uint64_t data = 0) {
        bulk = data;
        await(Expect::message, 0);
    }
};

} // namespace wire
