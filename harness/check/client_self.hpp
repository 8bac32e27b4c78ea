#pragma once

// The cases for clients, tried on broken clients: does each notice something, and is everything noticed?

#include "harness/check/client_suite.hpp"
#include "harness/check/conformance.hpp"
#include "harness/check/detection.hpp"
#include "harness/check/detection_plan.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace harness::check {

/// How to look at the faults of the reference client.
struct ClientSelfOptions {
    std::vector<std::string> faults; ///< globs; none: all
    unsigned jobs = 2;
    std::vector<PlannedTrial> plan; ///< who is known to notice which fault
    bool search = false;            ///< also search for what cases notice of which the plan knows nothing
    /// Told how many of how many are done, and what they are.
    std::function<void(std::string_view what, std::size_t done, std::size_t of)> progress;
};

/// Gives the reference client one fault after the other, sends it on its errands, and sees which cases
/// notice: first what the plan knows. Then, for faults that nobody has noticed, one errand after the other
/// until somebody does: the cases that are about the requirement which the fault breaks. Then, if a search is
/// asked for and all faults are tried, for cases that have noticed nothing: the faults until one is noticed.
/// At last, for the faults that are left, some of all cases. `suite.command` gives the limits only. Throws
/// Interrupted, LaunchError, std::runtime_error.
[[nodiscard]] Detection check_clients_themselves(const ClientSuite& suite, const Conformance& conformance,
                                                 const ClientSelfOptions& options);

} // namespace harness::check
