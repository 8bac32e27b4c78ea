#pragma once

// The matrix and what stands behind it as Markdown (tables as GitHub and GitLab render them).

#include "reports/result.hpp"

#include <string>

namespace reports {

/// The run as a Markdown document, for people who quote from it: peers and versions, the matrix, every
/// problem once, stale deviations, observations, and why cases were unsupported.
[[nodiscard]] std::string to_markdown(const RunResult& run);

/// What the run says to the questions of those who write the specification, as a Markdown document of its
/// own.
[[nodiscard]] std::string to_spec_matrix(const RunResult& run);

} // namespace reports
