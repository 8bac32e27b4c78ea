#pragma once

// The messages of the experimental RESIZE extension: docs/resize-extension.md.

#include "protocol/codec.hpp"
#include "protocol/numbers.hpp"

#include <cstdint>
#include <string_view>

namespace nbd {

/// The largest size that an export can be asked to have, in bytes (RZ-PLAIN-1, RZ-AUTO-9).
inline constexpr std::uint64_t max_resize = (std::uint64_t{1} << 63) - 1;

/// NBD_INFO_RESIZE, the type included; sizes in bytes (NBD_INFO_RESIZE).
struct InfoResize {
    static constexpr std::string_view title = "information";

    InfoType type = InfoType::resize;
    std::uint16_t capabilities = 0; ///< `resize_capability`
    std::uint32_t granularity = 1;  ///< at least 1
    std::uint64_t smallest = 0;
    std::uint64_t largest = unknown_largest;

    /// The largest size of a server that knows none.
    static constexpr std::uint64_t unknown_largest = ~std::uint64_t{0};

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("type", self.type);
        named(visitor, "capabilities", self.capabilities, resize_capability_names);
        visitor.field("granularity", self.granularity);
        visitor.field("smallest", self.smallest);
        visitor.field("largest", self.largest);
    }
    bool operator==(const InfoResize&) const = default;
};

/// The payload of NBD_REPLY_TYPE_RESIZE (NBD_REPLY_TYPE_RESIZE).
struct ResizeChunk {
    static constexpr std::string_view title = "size";

    std::uint64_t size = 0;  ///< of the export, in bytes
    std::uint32_t flags = 0; ///< `resize_flag`

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("size", self.size);
        named(visitor, "flags", self.flags, resize_flag_names);
    }
    bool operator==(const ResizeChunk&) const = default;
};

} // namespace nbd
