#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

/// The mark that every process of this run carries in its environment, and that its descendants inherit,
/// however often they fork and whatever session they make: by it the run finds what it must not leave behind.
namespace harness {

/// The environment variable: NBD_INTEROP_RUN.
inline constexpr std::string_view run_variable = "NBD_INTEROP_RUN";

/// The name by which a janitor (janitor.hpp) is known to ps, and to the functions below.
inline constexpr std::string_view janitor_name = "nbdi-janitor";

/// The random name of this run, made at the first call. Thread safe.
const std::string& run_id();

/// The value of run_variable for children: the run's id, preceded by those of the runs that this one is part
/// of (a runner that was itself started by a runner), separated by dots.
const std::string& run_value();

/// What came of killing the marked.
struct Sweep {
    std::size_t killed = 0; ///< processes that had to be killed
    bool clean = false;     ///< none is left
};

/// Kills (SIGKILL) every process whose run_variable names the run `id`, until none is left or `limit` is
/// over; never the caller. Looks at the processes of this PID namespace that the caller may inspect.
Sweep kill_marked(std::string_view id, std::chrono::milliseconds limit);

/// The same for any variable and its whole value: for instance one case's daemons, if Launch::env gave
/// the case a mark of its own.
Sweep kill_marked(std::string_view variable, std::string_view value, std::chrono::milliseconds limit);

} // namespace harness
