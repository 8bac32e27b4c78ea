#pragma once

#include "harness/cli/commands.hpp"
#include "harness/run/versions.hpp"
#include "reports/result.hpp"

#include <string>

namespace harness {

class Workspace;
struct Catalogue;

/// True for the suite of the qcow2 stacks and for its brief part.
[[nodiscard]] bool is_stack_suite(const std::string& name);

/// Runs it and adds its cases, its table and what it says to the open questions to the run; `options.out` is
/// an absolute path. Throws SelectionError for servers, clients, scenarios and knobs that there are not,
/// CatalogueError, Interrupted.
void run_stacks(const std::string& name, const Catalogue& base, const Versions& versions,
                const CommonOptions& common, const RunOptions& options, Workspace& workspace,
                reports::RunResult& run);

} // namespace harness
