#pragma once

#include <string>
#include <vector>

namespace refclient::cli {

/// The whole program. Returns its exit status: 0 success, 1 the server, the connection or a file failed, 2
/// wrong usage.
[[nodiscard]] int run(int argc, const char* const* argv);

/// Both `URI COMMAND …` and `COMMAND URI …` are understood; this makes the second of the first, and `info
/// URI` of a URI alone. `arguments` has no program name.
[[nodiscard]] std::vector<std::string> command_first(std::vector<std::string> arguments);

} // namespace refclient::cli
