#pragma once

// What a search for who notices which fault has found, kept so that it can be repeated in seconds:
// scenarios/conformance/detection.yaml.

#include "harness/catalogue/yaml.hpp"
#include "harness/check/detection.hpp"

#include <functional>
#include <string>
#include <vector>

namespace harness::check {

/// One broken program, and the cases that are known to notice it.
struct PlannedTrial {
    std::string fault;
    std::string on; ///< the target, or the errand, of targets.yaml
    std::vector<std::string> cases;
    bool operator==(const PlannedTrial&) const = default;
};

/// How often a case is given the chance to notice what the plan says that it notices: some faults run a race
/// with it.
inline constexpr int most_repetitions = 3;

/// For the faults of servers and for those of clients.
struct DetectionPlan {
    std::vector<PlannedTrial> servers;
    std::vector<PlannedTrial> clients;
};

/// Names that are not known any more are no error here: what the plan says of them is left out when it is
/// carried out. Throws CatalogueError.
[[nodiscard]] DetectionPlan load_plan(const YamlNode& document);

/// As a file.
[[nodiscard]] std::string plan_text(const DetectionPlan& plan);

/// Few trials in which everything is noticed that the detection knows to be: each fault, by each case one,
/// and each statement of `shown`, which says what a sighting shows.
[[nodiscard]] std::vector<PlannedTrial>
thin_out(const Detection& detection, const std::function<std::set<std::string>(const Sighting&)>& shown);

} // namespace harness::check
