#pragma once

// The suite held against broken programs: every fault of the reference server has to be noticed by a case,
// and every case has to notice some fault.

#include "harness/check/conformance.hpp"
#include "harness/check/listed_faults.hpp"
#include "harness/check/server_suite.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace harness::check {

/// What the cases made of the faults.
struct Detection {
    std::vector<ListedFault> faults;
    std::vector<std::string> cases; ///< names
    /// By fault: the cases that noticed it.
    std::map<std::string, std::set<std::string>> noticed;
    /// By fault: the requirements that were found broken.
    std::map<std::string, std::set<std::string>> blamed;
    /// Cases that did not pass without any fault, with what they say: defects of the suite or of the
    /// reference.
    std::vector<std::string> unsound;
    /// Cases that no target could carry out.
    std::vector<std::string> never_run;
    std::size_t runs = 0; ///< cases carried out, with and without faults

    [[nodiscard]] std::vector<std::string> unnoticed_faults() const;
    [[nodiscard]] std::vector<std::string> idle_cases() const;
    /// True if the fault made a case fail for the requirement: it was found broken, or it is the one that the
    /// fault breaks and one of `testing_cases`, which test it, noticed the fault.
    [[nodiscard]] bool shows(const ListedFault& fault, const std::string& requirement,
                             const std::set<std::string>& testing_cases) const;
};

/// How to look at the faults.
struct SelfOptions {
    std::filesystem::path server;    ///< nbd-resize-server
    std::vector<std::string> faults; ///< globs; none: all
    unsigned jobs = 2;
    /// Told how many of how many runs of the suite are done.
    std::function<void(std::size_t done, std::size_t of)> progress;
};

/// Runs the cases against the sound server and against each fault: first, one target after the other until
/// somebody notices, those that test the requirement which the fault breaks; then all others, for faults that
/// nobody noticed; then, for cases that noticed nothing, the faults that break what they test. Throws
/// Interrupted.
[[nodiscard]] Detection check_servers(const Conformance& conformance, const Requirements& requirements,
                                      Workspace& workspace, const SelfOptions& options);

} // namespace harness::check
