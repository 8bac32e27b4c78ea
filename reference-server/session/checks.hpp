#pragma once

#include "protocol/transmission.hpp"
#include "reference-server/session/agreement.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace refserver {

/// Why a request is answered with an error.
struct Refusal {
    nbd::Error error = nbd::Error::inval;
    std::string message; ///< for people
};

/// Checks a request against what was agreed: command and flags, read-only, bounds, alignment, sizes (Error
/// values, Size constraints). The effect length of NBD_CMD_BLOCK_STATUS with a payload is checked with
/// `check_range` once the payload is there. NBD_CMD_DISC is never refused.
[[nodiscard]] std::optional<Refusal> check(const nbd::Request& request, const Agreement& agreement);

/// True for a write that extends the export if it ends behind it (RZ-AUTO-1, RZ-AUTO-10).
[[nodiscard]] bool may_extend(const nbd::Request& request, const Agreement& agreement);

/// Checks that a range lies within the export and is aligned to its minimum block size.
[[nodiscard]] std::optional<Refusal> check_range(nbd::Command command, std::uint64_t offset,
                                                 std::uint64_t length, const Agreement& agreement);

} // namespace refserver
