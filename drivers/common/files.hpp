#pragma once

// The files that carry the data of `read` and `write` steps.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace driver {

/// The first `size` bytes of the file `path`. Throws Failure, `where` driver, if it cannot be read (the
/// system's errno) or is shorter (EINVAL).
[[nodiscard]] std::vector<std::byte> read_from(const std::string& path, std::uint64_t size);

/// Replaces the contents of the file `path`, which need not exist. Throws Failure, `where` driver.
void write_into(const std::string& path, std::span<const std::byte> data);

} // namespace driver
