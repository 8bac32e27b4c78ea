#include "harness/catalogue/catalogue.hpp"
#include "harness/catalogue/words.hpp"
#include "harness/check/conformance.hpp"
#include "harness/check/listed_faults.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/run/selection.hpp"
#include "harness/wire/rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
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

/// The conformance cases that test the requirement.
std::set<std::string> checks_for(const check::Conformance& conformance, const std::string& id) {
    std::set<std::string> names;
    for (const check::ServerCase& made : conformance.server_cases) {
        if (made.requirements().contains(id)) {
            names.insert(made.name);
        }
    }
    for (const check::ClientCase& made : conformance.client_cases) {
        if (std::ranges::find(made.tests, id) != made.tests.end()) {
            names.insert(made.name + " (for clients)");
        }
    }
    return names;
}

/// The faults of a reference program that break the requirement, with what it does then.
std::vector<std::string> faults_for(const std::filesystem::path& program, const std::string& id) {
    std::vector<std::string> faults;
    for (const check::ListedFault& fault : check::list_faults(program, "--list-faults")) {
        if (fault.requirement == id) {
            faults.push_back(fmt::format("{}: {}", fault.name, fault.sentence));
        }
    }
    return faults;
}

} // namespace

int explain_command(const CommonOptions& common, const std::string& requirement) {
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
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
    const std::set<std::string> checks = checks_for(conformance, requirement);
    fmt::print("conformance cases: {}\n",
               checks.empty() ? "none tests it" : fmt::format("{}", fmt::join(checks, ", ")));
    for (const auto& [program, switches] : {std::pair("nbd-resize-server", "fault=NAME in the export name"),
                                            std::pair("nbd-resize-client", "--fault NAME")}) {
        for (const std::string& fault : faults_for(common.programs / program, requirement)) {
            fmt::print("{:<18} {} ({})\n",
                       program == std::string("nbd-resize-server") ? "fault of a server:"
                                                                   : "fault of a client:",
                       fault, switches);
        }
    }
    std::vector<Deviation> deviations = catalogue.deviations;
    std::ranges::copy(conformance.deviations, std::back_inserter(deviations));
    for (const Deviation& deviation : deviations) {
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
