#pragma once

// What a client knows of an export after the handshake.

#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refclient {

/// The handshakes that a server may speak (Handshake).
enum class HandshakeStyle { oldstyle, newstyle, fixed_newstyle };

/// "oldstyle", "newstyle" or "newstyle-fixed".
[[nodiscard]] std::string_view name(HandshakeStyle style);

/// Size constraints that a server advertised, in bytes (Size constraints).
struct BlockSizes {
    std::uint32_t minimum = 1;
    std::uint32_t preferred = nbd::default_preferred_block;
    std::uint32_t maximum = nbd::default_max_payload; ///< of a payload

    bool operator==(const BlockSizes&) const = default;
};

/// A metadata context that was selected.
struct MetaContext {
    std::uint32_t id = 0;
    std::string name;

    bool operator==(const MetaContext&) const = default;
};

/// An export, and how to talk about it.
struct ExportInfo {
    std::string name;                       ///< as it was asked for
    std::string canonical_name;             ///< as the server calls it; empty if it did not say
    std::optional<std::string> description; ///< for people
    std::uint64_t size = 0;                 ///< in bytes
    std::uint16_t flags = 0;                ///< `nbd::transmission_flag`
    std::optional<BlockSizes> block;        ///< if the server advertised them

    /// NBD_INFO_RESIZE, if it was asked for and sent. Experimental: RESIZE.
    std::optional<nbd::InfoResize> resize;

    HandshakeStyle handshake = HandshakeStyle::fixed_newstyle;
    nbd::HeaderStyle headers = nbd::HeaderStyle::compact;
    bool structured = false;                     ///< structured replies or extended headers were agreed
    std::vector<MetaContext> contexts;           ///< selected for block status
    std::vector<std::string> available_contexts; ///< only if `Options::list_contexts`

    /// True if all these transmission flags are set.
    [[nodiscard]] bool has(std::uint16_t wanted) const { return (flags & wanted) == wanted; }
    /// True if NBD_INFO_RESIZE was sent with all these capabilities (`nbd::resize_capability`).
    [[nodiscard]] bool can_resize(std::uint16_t wanted) const {
        return resize && (resize->capabilities & wanted) == wanted;
    }
    [[nodiscard]] bool extended() const { return headers == nbd::HeaderStyle::extended; }
    /// Offsets and lengths of requests have to be multiples of this, in bytes.
    [[nodiscard]] std::uint32_t minimum_block() const { return block ? block->minimum : 1; }
    /// The largest payload to use, in bytes.
    [[nodiscard]] std::uint32_t maximum_payload() const {
        return block ? block->maximum : nbd::default_max_payload;
    }
    /// The id of a selected context.
    [[nodiscard]] std::optional<std::uint32_t> context_id(std::string_view context) const;

    bool operator==(const ExportInfo&) const = default;
};

} // namespace refclient
