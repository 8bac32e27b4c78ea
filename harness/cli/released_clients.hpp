#pragma once

#include "harness/cli/commands.hpp"
#include "harness/run/versions.hpp"
#include "reports/result.hpp"

namespace harness {

class Workspace;
struct Catalogue;

/// The name of the suite of released clients on a server in every configuration of the RESIZE knobs.
inline constexpr const char* released_clients_suite = "resize-clients";

/// Runs that suite and adds its cases and its table to the run; `options.out` is an absolute path. Throws
/// SelectionError for clients, scenarios and knobs that there are not, CatalogueError, Interrupted.
void run_released_clients(const Catalogue& base, const Versions& versions, const CommonOptions& common,
                          const RunOptions& options, Workspace& workspace, reports::RunResult& run);

} // namespace harness
