#pragma once

// All that scenarios/conformance says.

#include "harness/catalogue/catalogue.hpp"
#include "harness/check/client_case.hpp"
#include "harness/check/detection_plan.hpp"
#include "harness/check/server_case.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace harness::check {

/// A configuration of the reference server that the suite is tried on.
struct SelfTarget {
    std::string name;
    bool resize = false; ///< for the faults of the RESIZE extension; else for those of the base protocol
    std::vector<std::string> arguments; ///< of nbd-resize-server
    std::string export_name;
    /// What the configuration breaks by itself, so that nobody is to be blamed for it.
    std::vector<std::string> breaks;
};

/// What the reference client is told to do for the cases for clients.
struct ClientErrand {
    std::string name;
    /// Of nbd-resize-client, or of nbd-driver-reference if there are steps. They may have places, as
    /// `ClientCommand` has them.
    std::vector<std::string> arguments;
    std::vector<std::string> steps; ///< lines of the driver protocol; the last one has to succeed

    /// The command line with the programs of this folder, and with a fault unless that is empty.
    [[nodiscard]] std::vector<std::string> command(const std::filesystem::path& programs,
                                                   const std::string& fault) const;
};

/// The conformance cases, and what released peers are known to fail of them:
///
///     conformance/deviations.yaml  conformance/targets.yaml  conformance/detection.yaml
///     conformance/server/*.yaml  conformance/client/*.yaml
struct Conformance {
    std::vector<ServerCase> server_cases;
    std::vector<ClientCase> client_cases;
    /// In terms of `Deviation`, a case NAME is the scenario "check/NAME".
    std::vector<Deviation> deviations;
    std::vector<SelfTarget> targets;
    std::vector<ClientErrand> errands;
    /// Cases that the reference server cannot show anything about, with the reasons.
    std::map<std::string, std::string> elsewhere;
    DetectionPlan plan; ///< which case is known to notice which fault
};

/// Reads and checks it; a catalogue without the folder has none of it. Throws CatalogueError with file, line
/// and column.
[[nodiscard]] Conformance load_conformance(const Catalogue& catalogue);

} // namespace harness::check
