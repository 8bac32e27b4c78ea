#include "harness/cli/stacks.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/cli/progress.hpp"
#include "harness/cli/released.hpp"
#include "harness/peers/detect.hpp"
#include "harness/process/workspace.hpp"
#include "harness/released/roll_up.hpp"
#include "harness/run/deviations.hpp"
#include "harness/run/scheduler.hpp"
#include "harness/stacks/evidence.hpp"
#include "harness/stacks/stack_run.hpp"
#include "harness/stacks/suite.hpp"
#include "reports/aggregate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace harness {
namespace {

constexpr const char* whole_suite = "qcow2-stacks";
constexpr const char* brief_suite = "qcow2-stacks-brief";

/// Throws SelectionError for a pattern that none of the cases meets; keeps those that meet one.
template <class Matches>
void keep(std::vector<StackCase>& cases, const std::vector<std::string>& patterns, const char* option,
          const Matches& matches) {
    for (const std::string& pattern : patterns) {
        if (std::ranges::none_of(cases, [&](const StackCase& item) { return matches(item, pattern); })) {
            throw SelectionError(
                fmt::format("{} {}: the suite {} has no such case", option, pattern, whole_suite));
        }
    }
    if (!patterns.empty()) {
        std::erase_if(cases, [&](const StackCase& item) {
            return std::ranges::none_of(patterns,
                                        [&](const std::string& pattern) { return matches(item, pattern); });
        });
    }
}

std::vector<StackCase> select(const StackSuite& suite, bool brief, const RunOptions& options) {
    for (const auto& faults : {options.server_faults, options.client_faults}) {
        if (!faults.empty()) {
            throw SelectionError(
                fmt::format("the suite {} cannot have the fault {}", suite.name, faults.front()));
        }
    }
    std::vector<StackCase> cases = stack_cases(suite, brief);
    keep(cases, options.selection.servers, "--server", [](const StackCase& item, const std::string& pattern) {
        return selects(pattern, item.server_peer->name,
                       item.server == nullptr ? "default" : item.server->name);
    });
    keep(cases, options.selection.clients, "--client", [](const StackCase& item, const std::string& pattern) {
        return selects(pattern, item.client->peer.name, "default");
    });
    keep(cases, options.selection.scenarios, "--scenario",
         [](const StackCase& item, const std::string& pattern) {
             return glob_match(pattern, item.scenario_name());
         });
    for (const std::string& wish : options.knobs) {
        const std::size_t equals = wish.find('=');
        const auto has = [&](const StackCase& item, const std::string&) {
            const Facts facts = item.facts();
            const auto fact = facts.find("knob." + wish.substr(0, equals));
            return equals != std::string::npos && fact != facts.end() &&
                   fact->second == wish.substr(equals + 1);
        };
        keep(cases, {wish}, "--knob", has);
    }
    std::vector<StackCase> thinned;
    for (std::size_t i = 0; i < cases.size(); i += options.every) {
        thinned.push_back(cases[i]);
    }
    return thinned;
}

/// The peers of the suite that the catalogue does not have.
Versions find_more(const StackSuite& suite, const CommonOptions& common, const Versions& versions,
                   reports::RunResult& run) {
    Versions all = versions;
    for (const Peer& peer : suite.catalogue.peers) {
        if (all.contains({peer.role, peer.name}) ||
            std::ranges::any_of(run.peers, [&](const reports::PeerInfo& info) {
                return info.name == peer.name && info.role == peer.role;
            })) {
            continue;
        }
        const Detected detected = detect(peer, common.programs);
        if (detected.version) {
            all[{peer.role, peer.name}] = *detected.version;
        } else {
            fmt::print(stderr, "nbd-interop: {} '{}' is left out: {}\n", peer.role, peer.name,
                       detected.problem);
        }
        run.peers.push_back({peer.name, peer.role, peer.title, detected.version, {"default"}});
    }
    return all;
}

} // namespace

bool is_stack_suite(const std::string& name) {
    return name == whole_suite || name == brief_suite;
}

void run_stacks(const std::string& name, const Catalogue& base, const Versions& versions,
                const CommonOptions& common, const RunOptions& options, Workspace& workspace,
                reports::RunResult& run) {
    const Knobs knobs = Knobs::load(common.scenarios / "knobs.yaml");
    const std::filesystem::path folder = common.scenarios / "stacks";
    const StackSuite suite = load_stack_suite(folder, base, knobs);
    const StackEvidence evidence = StackEvidence::load(folder / "evidence.yaml", suite);
    std::vector<StackCase> cases = select(suite, name == brief_suite, options);
    const Versions all = find_more(suite, common, versions, run);
    std::erase_if(cases, [&](const StackCase& item) {
        return !all.contains({"server", item.server_peer->name}) ||
               !all.contains({"client", item.client->peer.name});
    });
    const StackPlace place{&suite, &all, common.programs, &workspace, options.out, !options.unjudged};
    Progress progress(cases.size(), "cases", options.quiet);
    VerdictCounts counts;
    std::vector<reports::CaseResult> results = run_parallel(
        cases.size(), options.jobs == 0 ? default_jobs() : options.jobs,
        [&](std::size_t index) { return run_stack(cases[index], place); },
        [&](std::size_t done, const reports::CaseResult& result) {
            progress.advance(done, counts.add(result));
        });
    mark_deviations(suite.catalogue.deviations, all, results);
    const bool whole = name == whole_suite && options.every == 1 && options.knobs.empty() &&
                       options.selection.servers.empty() && options.selection.clients.empty() &&
                       options.selection.scenarios.empty();
    if (whole) {
        std::ranges::move(stale_deviations(suite.catalogue.deviations, all, results),
                          std::back_inserter(run.stale));
    }
    evidence.add_to(run, cases, results);

    // The configurations of a server that grows are many, and what came out alike becomes one.
    std::vector<reports::CaseResult> rolled_up;
    for (const GrowingServer& growing : suite.growing) {
        std::vector<reports::CaseResult> its = taken_out(results, Side::server, growing.name);
        if (its.empty()) {
            continue;
        }
        remove_dull_logs(options.out, its);
        run.tables.push_back(released_table(its, Side::server, growing.title, growing.about));
        std::ranges::move(roll_up(std::move(its), Side::server, options.junit_members),
                          std::back_inserter(rolled_up));
    }
    std::ranges::move(results, std::back_inserter(run.cases));
    std::ranges::move(rolled_up, std::back_inserter(run.cases));
    quote_deviations(suite.catalogue.deviations, run);
}

} // namespace harness
