#pragma once

#include "harness/cli/commands.hpp"
#include "reports/result.hpp"

#include <string>

namespace harness {

class Workspace;

/// Leads the lives of a suite and adds their cases to the run. Throws as lead_lives; SelectionError for a
/// suite that there is not and for knobs that select nothing.
void run_lives(const std::string& suite, const CommonOptions& common, const RunOptions& options,
               Workspace& workspace, reports::RunResult& run);

} // namespace harness
