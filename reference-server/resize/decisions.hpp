#pragma once

// Which size an export gets, decided from its rules alone.

#include "protocol/numbers.hpp"
#include "reference-server/resize/knobs.hpp"

#include <cstdint>
#include <string>

namespace refserver {

/// A size, or why it cannot be had.
struct SizeDecision {
    nbd::Error error = nbd::Error::none;
    std::string message;    ///< for people, where there is an error
    std::uint64_t size = 0; ///< bytes; the present size if nothing is to change
};

/// What a plain NBD_CMD_RESIZE for `wanted` bytes leads to, where `current` is the size. `exact`: the reply
/// can tell no other size than the requested one (RZ-PLAIN-5). `permitted`: explicit growth is offered.
[[nodiscard]] SizeDecision decide_resize(const ResizeRules& rules, std::uint64_t current,
                                         std::uint64_t wanted, bool exact, bool permitted);

/// What a write that ends at `end`, past the `current` size, leads to (RZ-AUTO-1, RZ-AUTO-2).
[[nodiscard]] SizeDecision decide_growth(const ResizeRules& rules, std::uint64_t current, std::uint64_t end);

} // namespace refserver
