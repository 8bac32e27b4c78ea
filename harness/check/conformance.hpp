#pragma once

// All that scenarios/conformance says.

#include "harness/catalogue/catalogue.hpp"
#include "harness/check/client_case.hpp"
#include "harness/check/server_case.hpp"

#include <vector>

namespace harness::check {

/// The conformance cases, and what released peers are known to fail of them:
///
///     conformance/deviations.yaml  conformance/server/*.yaml  conformance/client/*.yaml
struct Conformance {
    std::vector<ServerCase> server_cases;
    std::vector<ClientCase> client_cases;
    /// In terms of `Deviation`, a case NAME is the scenario "check/NAME".
    std::vector<Deviation> deviations;
};

/// Reads and checks it. Throws CatalogueError with file, line and column.
[[nodiscard]] Conformance load_conformance(const Catalogue& catalogue);

} // namespace harness::check
