#pragma once

#include "harness/catalogue/catalogue.hpp"
#include "harness/peers/client.hpp"
#include "harness/run/disk_model.hpp"
#include "reports/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace harness {

/// What is found of one step.
struct StepJudgement {
    std::vector<reports::Finding> findings;
    /// The client refused the step by itself, or does not tell what is asked: the case is `unsupported`.
    std::string unsupported;
    /// What a recording step writes down.
    std::string answer;
};

/// Holds the outcome of a step against the row that applies. `evaluated` is the step as the client got it;
/// `disk` is the disk as it must be after the step.
[[nodiscard]] StepJudgement judge(const Step& step, const ClientStep& evaluated, const Expectation& expected,
                                  const ClientOutcome& outcome, const DiskModel& disk,
                                  std::uint64_t export_size, const Requirements& requirements);

/// The finding that a requirement is broken. `where` helps to tell by whom.
[[nodiscard]] reports::Finding broken(const Requirements& requirements, const std::string& rule,
                                      ErrorPlace where, const std::string& message);

/// The worst verdict of the findings; `pass` without any. Sets the attribution along.
[[nodiscard]] std::pair<reports::Verdict, reports::Party>
worst(const std::vector<reports::Finding>& findings);

} // namespace harness
