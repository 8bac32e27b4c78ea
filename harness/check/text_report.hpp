#pragma once

// What a check found, for a terminal: by section of the specification.

#include "harness/catalogue/requirement.hpp"
#include "harness/check/server_suite.hpp"

#include <map>
#include <string>
#include <vector>

namespace harness::check {

struct TextOptions {
    bool verbose = false; ///< also what passed and what does not apply
    bool colour = false;
    /// The command that runs one case again, with {case} for its name.
    std::string again;
    /// What two readings of the text cases accept, by their scenarios.
    std::map<std::string, std::string> ambiguous;
    /// Deviations that are listed for this version, but did not show though they could; their ids.
    std::vector<std::string> unseen;
};

/// The result, which ends with a line "N passed, N failed, N warned, N unsupported".
[[nodiscard]] std::string to_text(const SuiteResult& result, const Requirements& requirements,
                                  const TextOptions& options);

/// "12 passed, 1 failed, 0 warned, 3 unsupported"; time-outs, crashes and errors count as failed.
[[nodiscard]] std::string counts_line(const reports::RunResult& run);

} // namespace harness::check
