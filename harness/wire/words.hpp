#pragma once

// Words that many rules need.

#include "protocol/codec.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

/// `what` where that is so, else nothing.
[[nodiscard]] inline std::string when(bool wrong, std::string_view what) {
    return wrong ? std::string(what) : std::string();
}

/// That bits are set which must not be, in hex; nothing if all that are set are `known`.
[[nodiscard]] std::string unknown_bits(std::string_view word, std::uint64_t bits, std::uint64_t known);

/// What is wrong with a string of the protocol (Conventions): a NUL, bytes that are no UTF-8, too long.
[[nodiscard]] bool has_nul(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

/// True if the text is a namespace, a colon and whatever follows (Metadata querying).
[[nodiscard]] bool has_namespace(std::string_view context);

} // namespace wire
