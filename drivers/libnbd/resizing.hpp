#pragma once

// What a library without live resize can do about the size of an export: write past its end, and connect
// again to be told it (docs/resize-extension.md).

#include "drivers/libnbd/connection.hpp"

#include <cstdint>

namespace driver {

/// Makes an export at least `to` bytes long by a write of zeroes that ends there, unless it is held to be so
/// already. Throws Failure: as the server answers, or local where the options let libnbd send no such write.
[[nodiscard]] HeldSize grow(Connection& connection, const LibnbdOptions& options, std::uint64_t to);

/// Asks for the size by a second connection, if the options say so. Throws Failure.
[[nodiscard]] HeldSize learn(Connection& connection, const LibnbdOptions& options);

} // namespace driver
