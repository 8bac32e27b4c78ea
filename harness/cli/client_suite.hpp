#pragma once

#include "harness/catalogue/catalogue.hpp"
#include "harness/check/client_suite.hpp"
#include "harness/cli/commands.hpp"

namespace harness {

/// A suite of cases for clients with all but the client. `catalogue` and `workspace` have to live as long as
/// it.
[[nodiscard]] check::ClientSuite make_client_suite(const CommonOptions& common, const Catalogue& catalogue,
                                                   Workspace& workspace);

} // namespace harness
