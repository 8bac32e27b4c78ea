#pragma once

// The payloads of replies in words, for a trace.

#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"

#include <string>

namespace refclient {

/// The payload of an option reply; says so if it is malformed.
[[nodiscard]] std::string payload_text(const nbd::OptionReply& reply, nbd::Bytes payload);

/// The payload of a chunk, of NBD_REPLY_TYPE_OFFSET_DATA its fixed part only.
[[nodiscard]] std::string payload_text(const nbd::Chunk& chunk, nbd::Bytes payload);

} // namespace refclient
