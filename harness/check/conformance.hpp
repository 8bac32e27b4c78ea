#pragma once

// All that scenarios/conformance says.

#include "harness/catalogue/catalogue.hpp"
#include "harness/check/client_case.hpp"
#include "harness/check/server_case.hpp"

#include <string>
#include <vector>

namespace harness::check {

/// A configuration of the reference server that the suite is tried on.
struct SelfTarget {
    std::string name;
    bool resize = false; ///< for the faults of the RESIZE extension; else for those of the base protocol
    std::vector<std::string> arguments; ///< of nbd-resize-server
};

/// The conformance cases, and what released peers are known to fail of them:
///
///     conformance/deviations.yaml  conformance/targets.yaml
///     conformance/server/*.yaml  conformance/client/*.yaml
struct Conformance {
    std::vector<ServerCase> server_cases;
    std::vector<ClientCase> client_cases;
    /// In terms of `Deviation`, a case NAME is the scenario "check/NAME".
    std::vector<Deviation> deviations;
    std::vector<SelfTarget> targets;
};

/// Reads and checks it; a catalogue without the folder has none of it. Throws CatalogueError with file, line
/// and column.
[[nodiscard]] Conformance load_conformance(const Catalogue& catalogue);

} // namespace harness::check
