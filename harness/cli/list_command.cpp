#include "harness/catalogue/catalogue.hpp"
#include "harness/check/conformance.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/peers/detect.hpp"
#include "harness/wire/rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace harness {
namespace {

void list_peers(const Catalogue& catalogue, const std::filesystem::path& programs) {
    for (const char* role : {"server", "client"}) {
        for (const Peer& peer : catalogue.peers) {
            if (peer.role == role) {
                const Detected detected = detect(peer, programs);
                fmt::print("{:<7} {:<22} {:<14} {}\n", role, peer.name,
                           detected.version.value_or("not installed"), fmt::join(peer.variant_names(), " "));
            }
        }
    }
}

void list_scenarios(const Catalogue& catalogue) {
    for (const Scenario& scenario : catalogue.scenarios) {
        fmt::print("{:<32} {:<12} {}\n", scenario.name, scenario.group, scenario.title);
    }
}

void list_cases(const Catalogue& catalogue, const Selection& selection) {
    for (const Case& item : make_cases(catalogue, selection)) {
        const std::string why = inexpressible(item);
        fmt::print("{}{}\n", item.id(), why.empty() ? "" : fmt::format("  (unsupported: {})", why));
    }
}

/// The requirements that the wire judge enforces, one a line.
void list_rules(const Catalogue& catalogue) {
    for (const wire::Enforced& rule : wire::enforced_requirements()) {
        const auto found = catalogue.requirements.find(std::string(rule.requirement));
        fmt::print("{:<30} {:<7} {}\n", rule.requirement, rule.mandatory ? "MUST" : "SHOULD",
                   found == catalogue.requirements.end() ? "" : found->second.text);
    }
}

/// The conformance cases, with the requirements that they test.
void list_checks(const Catalogue& catalogue) {
    for (const check::ServerCase& made : check::load_conformance(catalogue).server_cases) {
        fmt::print("{:<44} {} [{}]\n", made.name, made.title, fmt::join(made.requirements(), ", "));
    }
}

} // namespace

int list_command(const CommonOptions& common, const std::string& what, const Selection& selection) {
    const Catalogue catalogue = load_catalogue(common.scenarios);
    if (what == "peers") {
        list_peers(catalogue, common.programs);
    } else if (what == "scenarios") {
        list_scenarios(catalogue);
    } else if (what == "rules") {
        list_rules(catalogue);
    } else if (what == "checks") {
        list_checks(catalogue);
    } else {
        list_cases(catalogue, selection);
    }
    return exit_ok;
}

} // namespace harness
