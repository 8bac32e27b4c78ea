#pragma once

// The suite held against broken programs: every fault of the reference server has to be noticed by a case,
// and every case has to notice some fault.

#include "harness/check/conformance.hpp"
#include "harness/check/detection_plan.hpp"
#include "harness/process/workspace.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace harness::check {

/// How to look at the faults.
struct SelfOptions {
    std::filesystem::path server;    ///< nbd-resize-server
    std::vector<std::string> faults; ///< globs; none: all
    unsigned jobs = 2;
    std::vector<PlannedTrial> plan; ///< who is known to notice which fault
    bool search = false;            ///< also search for what cases notice of which the plan knows nothing
    /// Told how many of how many runs of the suite are done, and what they are.
    std::function<void(std::string_view what, std::size_t done, std::size_t of)> progress;
};

/// Runs the cases against the sound server, on all targets, and against its faults: first what the plan
/// knows. Then, for faults that nobody noticed, one target after the other until somebody does: the cases
/// that test the requirement which the fault breaks, then all others. Then, if a search is asked for and all
/// faults are tried, for cases that noticed nothing: all faults, until they notice one. Throws Interrupted.
[[nodiscard]] Detection check_servers(const Conformance& conformance, const Requirements& requirements,
                                      Workspace& workspace, const SelfOptions& options);

} // namespace harness::check
