#pragma once

// JUnit XML, for the readers of Jenkins, GitLab and GitHub.

#include "reports/result.hpp"

#include <string>

namespace reports {

struct JunitOptions {
    bool deviations_as_skipped = false; ///< cases that are listed deviations count as skipped
};

/// The run as JUnit XML: a suite per server and client, a test case per case, and a suite with one skipped
/// test case for every peer that is not installed.
///
/// fail, timeout and crash become <failure> with that type, error becomes <error>, unsupported <skipped>; a
/// warn passes and says what it warns of in <system-out>. The result is well-formed XML 1.0 in UTF-8 whatever
/// bytes the run holds.
[[nodiscard]] std::string to_junit(const RunResult& run, const JunitOptions& options = {});

} // namespace reports
