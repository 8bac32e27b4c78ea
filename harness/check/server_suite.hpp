#pragma once

// All conformance cases on one server.

#include "harness/check/server_case.hpp"
#include "harness/check/started_server.hpp"
#include "reports/result.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace harness::check {

/// How to run the cases.
struct SuiteOptions {
    std::string server; ///< what to call it
    Permissions permissions;
    std::vector<std::string> cases;           ///< globs over "NAME" and "NAME/STYLE"; none: all
    bool crashers = false;                    ///< also the cases that have brought servers down
    std::chrono::milliseconds patience{3000}; ///< for each answer
    std::size_t most_late =
        0;                   ///< after so many cases without an answer the rest is left out; 0: only in a row
    bool keep_traces = true; ///< says in words what went over the wire in cases that did not pass
};

/// What came of the cases, and what people need to understand it.
struct SuiteResult {
    reports::RunResult run;
    std::map<std::string, wire::Transcript> traces; ///< of cases that did not pass, by the case's id
    std::string facts;                              ///< the server in a line: "fixed newstyle, 1 MiB, …"
    /// What the wire judge saw broken in cases that do not test it: by requirement, the first such case. Its
    /// result is that of "check/wire-REQUIREMENT".
    std::map<std::string, std::string> seen_aside;
    /// The suite ended early, and why; empty if it did not.
    std::string given_up;
};

/// Carries out the cases one after the other. `started` is the server if the suite can start it, else null.
/// `progress` is told after each. Throws NoServer if the server takes no connection; Interrupted.
[[nodiscard]] SuiteResult
run_server_suite(const std::vector<ServerCase>& cases, const Requirements& requirements, const nbd::Uri& uri,
                 StartedServer* started, const SuiteOptions& options,
                 const std::function<void(const reports::CaseResult&)>& progress = {});

/// The words in which results name the case: "NAME", or "NAME/STYLE" where it starts in the transmission
/// phase.
[[nodiscard]] std::string case_label(const ServerCase& made, Style style);

} // namespace harness::check
