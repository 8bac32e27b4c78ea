#pragma once

// What a session is told to offer, and what client and server agree on.

#include "protocol/numbers.hpp"
#include "protocol/resize.hpp"
#include "reference-server/export.hpp"
#include "reference-server/session/reply_style.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace refserver {

/// How a session begins (Handshake).
enum class Handshake { oldstyle, newstyle, fixed_newstyle };

/// What a server offers to every connection.
struct SessionOptions {
    Handshake handshake = Handshake::fixed_newstyle;
    std::uint16_t handshake_flags_mask = 0xffff; ///< handshake flags outside of it are not offered
    ReplyStyle most = ReplyStyle::extended;      ///< the most that may be negotiated
    /// Once this much memory is held for requests and replies, further requests wait; in bytes.
    std::uint64_t memory_limit = std::uint64_t{32} << 20;
};

/// Refuses an option after this many bytes of payload, but reads on.
inline constexpr std::uint32_t max_option_payload = 64U << 10;
/// An option or a request with more payload than this is an attack: the connection ends.
inline constexpr std::uint64_t max_drained_option = std::uint64_t{32} << 20;
/// See `max_drained_option`.
inline constexpr std::uint64_t max_drained_write = std::uint64_t{64} << 20;

/// A metadata context that was selected. So far only base:allocation exists.
struct ActiveContext {
    std::uint32_t id = 0;

    bool operator==(const ActiveContext&) const = default;
};

/// What holds during the transmission phase.
struct Agreement {
    std::shared_ptr<Export> served;
    std::uint64_t told_size = 0; ///< in bytes; the size may have changed since
    std::uint16_t transmission_flags = 0;
    ReplyStyle style = ReplyStyle::simple;
    /// NBD_INFO_RESIZE as NBD_OPT_GO told it; nothing if it was not sent (RZ-INFO-7).
    std::optional<nbd::InfoResize> resize_info;
    std::vector<ActiveContext> contexts;

    [[nodiscard]] bool offers(std::uint16_t flag) const { return (transmission_flags & flag) != 0; }
    /// Whether NBD_INFO_RESIZE promised the `nbd::resize_capability` on this connection.
    [[nodiscard]] bool promised(std::uint16_t capability) const {
        return resize_info && (resize_info->capabilities & capability) != 0;
    }
};

} // namespace refserver
