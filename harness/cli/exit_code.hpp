#pragma once

namespace reports {
struct RunResult;
}

namespace harness {

/// The exit codes of nbd-interop, as --help documents them.
enum ExitCode : int {
    exit_ok = 0,      ///< everything is as expected: passes, and deviations that are listed
    exit_red = 1,     ///< an unlisted fail, warn, timeout, crash or error, or a listed deviation that is gone
    exit_usage = 2,   ///< wrong arguments, a mistake in the catalogue, a selection that matches nothing
    exit_nothing = 3, ///< no case was executed, or a required peer is not installed
    exit_interrupted = 130, ///< Ctrl-C or SIGTERM
};

/// The exit code that a run deserves.
[[nodiscard]] ExitCode exit_code(const reports::RunResult& run);

} // namespace harness
