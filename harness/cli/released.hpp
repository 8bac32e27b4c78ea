#pragma once

#include "harness/cli/commands.hpp"
#include "harness/run/versions.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace harness {

class Workspace;
struct Catalogue;

/// True for the suites of released peers with a reference in every configuration of the RESIZE knobs:
/// resize-clients, resize-servers; and resize-pairs, where the reference client is on the other end.
[[nodiscard]] bool is_released_suite(const std::string& name);

/// Removes the logs, below the folder of the reports, of cases that nobody has a question about, which are
/// thousands of folders.
void remove_dull_logs(const std::filesystem::path& out, const std::vector<reports::CaseResult>& cases);

/// Runs such a suite and adds its cases and its table to the run; `options.out` is an absolute path. Throws
/// SelectionError for peers, scenarios and knobs that there are not, CatalogueError, Interrupted.
void run_released(const std::string& name, const Catalogue& base, const Versions& versions,
                  const CommonOptions& common, const RunOptions& options, Workspace& workspace,
                  reports::RunResult& run);

} // namespace harness
