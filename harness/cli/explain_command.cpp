#include "harness/catalogue/catalogue.hpp"
#include "harness/catalogue/words.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/process/process.hpp"
#include "harness/run/selection.hpp"
#include "harness/wire/rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace harness {
namespace {

const char* who(Bound bound) {
    return bound == Bound::server ? "servers" : bound == Bound::client ? "clients" : "both sides";
}

/// The document that a requirement comes from, for people.
std::string where(const Requirement& requirement) {
    if (requirement.document == "resize") {
        return "docs/resize-extension.md";
    }
    if (requirement.document == "extension-ext-header") {
        return "the NBD specification, doc/proto.md of the branch extension-ext-header";
    }
    return "the NBD specification, doc/" + requirement.document;
}

/// The scenarios with a step that holds a peer to the requirement.
std::set<std::string> scenarios_for(const Catalogue& catalogue, const std::string& id) {
    std::set<std::string> names;
    for (const Scenario& scenario : catalogue.scenarios) {
        for (const Step& step : scenario.steps) {
            if (step.rule == id || step.rule_on_error == id || step.rule_on_success == id) {
                names.insert(scenario.name);
            }
        }
    }
    return names;
}

/// The faults of a reference program that break the requirement, with what it does then.
std::vector<std::string> faults_for(const std::filesystem::path& program, const std::string& id) {
    Launch launch;
    launch.argv = {program.string(), "--list-faults"};
    launch.capture_stdout = true;
    Process process = Process::start(launch);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::vector<std::string> faults;
    while (const auto line = process.read_line(deadline)) {
        const auto first = line->find('\t');
        const auto second = line->find('\t', first + 1);
        if (second != std::string::npos && line->substr(first + 1, second - first - 1) == id) {
            faults.push_back(fmt::format("{}: {}", line->substr(0, first), line->substr(second + 1)));
        }
    }
    return faults;
}

} // namespace

int explain_command(const CommonOptions& common, const std::string& requirement) {
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const auto found = catalogue.requirements.find(requirement);
    if (found == catalogue.requirements.end()) {
        std::vector<std::string> ids;
        for (const auto& [id, ignored] : catalogue.requirements) {
            ids.push_back(id);
        }
        throw SelectionError(
            fmt::format("explain {}: there is no such requirement{}; 'nbd-interop list rules' "
                        "shows them",
                        requirement, did_you_mean(requirement, ids)));
    }
    const Requirement& what = found->second;
    const auto enforced = wire::enforced_requirements();
    const bool judged =
        std::ranges::find(enforced, requirement, &wire::Enforced::requirement) != enforced.end();
    fmt::print("{} ({}, binds {})\n  {}\n", what.id, what.level == Level::must ? "MUST" : "SHOULD",
               who(what.bound), what.text);
    fmt::print("where it stands:   {}, {}\n", where(what), what.section);
    if (!what.untestable.empty()) {
        fmt::print("not testable:      {}\n", what.untestable);
    }
    if (!what.ambiguous.empty()) {
        fmt::print("two readings:      {}\n", what.ambiguous);
    }
    fmt::print("on the wire:       {}\n",
               judged ? "judged in all traffic of every case" : "the wire judge has no rule for it");
    const std::set<std::string> scenarios = scenarios_for(catalogue, requirement);
    fmt::print("scenarios:         {}\n",
               scenarios.empty() ? "none asks for it" : fmt::format("{}", fmt::join(scenarios, ", ")));
    for (const auto& [program, switches] : {std::pair("nbd-resize-server", "fault=NAME in the export name"),
                                            std::pair("nbd-resize-client", "--fault NAME")}) {
        for (const std::string& fault : faults_for(common.programs / program, requirement)) {
            fmt::print("{:<18} {} ({})\n",
                       program == std::string("nbd-resize-server") ? "fault of a server:"
                                                                   : "fault of a client:",
                       fault, switches);
        }
    }
    for (const Deviation& deviation : catalogue.deviations) {
        if (deviation.rule == requirement) {
            fmt::print("known deviation:   {} ({} {})\n", deviation.id, fmt::join(deviation.peers, ", "),
                       deviation.versions.text());
            std::istringstream lines(deviation.transcript);
            for (std::string line; std::getline(lines, line);) {
                fmt::print("                     {}\n", line);
            }
        }
    }
    return exit_ok;
}

} // namespace harness
