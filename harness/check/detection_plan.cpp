#include "harness/check/detection_plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

namespace harness::check {
namespace {

std::vector<PlannedTrial> load_trials(const YamlNode& list) {
    std::vector<PlannedTrial> trials;
    for (const YamlNode& node : list.list()) {
        YamlMap map = node.map();
        PlannedTrial trial;
        trial.fault = map.required("fault").text();
        trial.on = map.required("on").text();
        trial.cases = map.required("cases").texts();
        map.finish();
        trials.push_back(std::move(trial));
    }
    return trials;
}

std::string section_text(const std::string& name, const std::vector<PlannedTrial>& trials) {
    if (trials.empty()) {
        return fmt::format("{}: []\n", name);
    }
    std::string text = name + ":\n";
    for (const PlannedTrial& trial : trials) {
        text += fmt::format("- {{ fault: {}, on: {}, cases: [{}] }}\n", trial.fault, trial.on,
                            fmt::join(trial.cases, ", "));
    }
    return text;
}

/// What a sighting is good for: its fault, its case and statements, each with a word in front so that
/// they are never taken for one another.
std::set<std::string> merits(const Sighting& sighting,
                             const std::function<std::set<std::string>(const Sighting&)>& shown) {
    std::set<std::string> all{"fault " + sighting.fault};
    if (!sighting.aside) {
        all.insert("case " + sighting.made);
    }
    for (const std::string& requirement : shown(sighting)) {
        all.insert("statement " + requirement);
    }
    return all;
}

} // namespace

DetectionPlan load_plan(const YamlNode& document) {
    YamlMap top = document.map();
    DetectionPlan plan;
    plan.servers = load_trials(top.required("servers"));
    plan.clients = load_trials(top.required("clients"));
    top.finish();
    return plan;
}

std::string plan_text(const DetectionPlan& plan) {
    return "# Which cases notice which fault of the reference server and of the reference client, and where: "
           "made by\n"
           "# `nbd-interop check --self --plan FILE` and carried out by `nbd-interop check --self`. Delete "
           "lines to have them\n# found anew.\n" +
           section_text("servers", plan.servers) + section_text("clients", plan.clients);
}

std::vector<PlannedTrial> thin_out(const Detection& detection,
                                   const std::function<std::set<std::string>(const Sighting&)>& shown) {
    std::set<std::string> done;
    std::map<std::pair<std::string, std::string>, std::set<std::string>> chosen;
    // Trials are repeated by themselves: what was seen in company only is chosen last.
    for (const bool alone : {true, false}) {
        std::vector<std::pair<const Sighting*, std::set<std::string>>> left;
        for (const Sighting& sighting : detection.sightings()) {
            if (sighting.alone == alone) {
                left.emplace_back(&sighting, merits(sighting, shown));
            }
        }
        while (!left.empty()) {
            for (auto& [sighting, merit] : left) {
                std::erase_if(merit, [&](const std::string& one) { return done.contains(one); });
            }
            std::erase_if(left, [](const auto& entry) { return entry.second.empty(); });
            const auto best =
                std::ranges::max_element(left, {}, [](const auto& entry) { return entry.second.size(); });
            if (best != left.end()) {
                chosen[{best->first->fault, best->first->on}].insert(best->first->made);
                done.insert(best->second.begin(), best->second.end());
            }
        }
    }
    std::vector<PlannedTrial> trials;
    for (const auto& [where, cases] : chosen) {
        trials.push_back({where.first, where.second, {cases.begin(), cases.end()}});
    }
    return trials;
}

} // namespace harness::check
