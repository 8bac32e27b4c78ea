#pragma once

// The last lines of a run on a terminal.

#include "reports/result.hpp"

#include <cstddef>
#include <string>

namespace reports {

struct SummaryOptions {
    std::size_t most_problems = 20; ///< lines; what is left over is counted in one more
    bool colour = false;            ///< escape sequences for colour
};

/// A short text about the run, which ends with a line such as "512 passed, 3 failed, 1 warned, 96
/// unsupported". Timeouts, crashes, errors and known deviations, if there are any, are counted in the line
/// above it; failed and warned cases that are known deviations are among the failed and warned ones of the
/// last line.
[[nodiscard]] std::string summary(const RunResult& run, const SummaryOptions& options = {});

} // namespace reports
