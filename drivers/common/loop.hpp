#pragma once

// The driver protocol's conversation: steps in, results out.

#include <cstddef>
#include <iosfwd>

namespace driver {

class Library;

/// Longest line that is read as a step, in bytes without the newline. A longer one is refused and skipped.
inline constexpr std::size_t max_line = std::size_t{1} << 20;

/// Writes the hello line, then answers every line of `in` with one line on `out`, which is flushed, until
/// `in` ends. Nothing that a line contains ends the loop. Returns the exit status of the driver: 0, or 1 if
/// `out` does not take the results any more.
[[nodiscard]] int run(Library& library, std::istream& in, std::ostream& out);

} // namespace driver
