#include "harness/cli/released.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/cli/progress.hpp"
#include "harness/peers/server_pool.hpp"
#include "harness/process/workspace.hpp"
#include "harness/released/roll_up.hpp"
#include "harness/released/suite.hpp"
#include "harness/run/deviations.hpp"
#include "harness/run/scheduler.hpp"
#include "reports/aggregate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

namespace harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* servers_folder = "servers";

/// The folder of each suite in scenarios/resize.
const std::map<std::string, std::string>& suite_folders() {
    static const std::map<std::string, std::string> folders{
        {"resize-clients", "clients"}, {"resize-servers", servers_folder}, {"resize-pairs", "pairs"}};
    return folders;
}

/// Options that have no meaning with this suite; throws SelectionError.
void check_options(const ReleasedSuite& suite, const RunOptions& options) {
    const bool server = suite.configured == Side::server;
    const auto& chosen = server ? options.selection.servers : options.selection.clients;
    if (!chosen.empty() && suite.peers.size() == 1) {
        throw SelectionError(fmt::format("--{0} {1}: the suite {2} has one {0}; --knob selects its "
                                         "configurations",
                                         server ? "server" : "client", chosen.front(), suite.name));
    }
    const auto& faults = server ? options.client_faults : options.server_faults;
    if (!faults.empty()) {
        throw SelectionError(fmt::format("--{0}-fault {1}: the {0}s of the suite {2} are released programs",
                                         server ? "client" : "server", faults.front(), suite.name));
    }
}

} // namespace

void remove_dull_logs(const fs::path& out, const std::vector<reports::CaseResult>& cases) {
    for (const reports::CaseResult& result : cases) {
        if (!result.folder.empty() && !reports::is_problem(result.verdict)) {
            fs::path folder = out / result.folder;
            fs::remove_all(folder);
            // Those of the client and of the server around it stay while there is something in them.
            std::error_code not_empty;
            while (!not_empty && folder != out / "cases") {
                folder = folder.parent_path();
                fs::remove(folder, not_empty);
            }
        }
        const fs::path probe = out / "probes" / label(result.server.name, result.server.variant);
        if (!reports::is_problem(result.verdict)) {
            fs::remove_all(probe);
        }
    }
}

bool is_released_suite(const std::string& name) {
    return suite_folders().contains(name);
}

void run_released(const std::string& name, const Catalogue& base, const Versions& versions,
                  const CommonOptions& common, const RunOptions& options, Workspace& workspace,
                  reports::RunResult& run) {
    const Knobs knobs = Knobs::load(common.scenarios / "knobs.yaml");
    const std::string& folder = suite_folders().at(name);
    const ReleasedSuite suite =
        load_released_suite(common.scenarios / "resize" / folder / "suite.yaml", base, knobs,
                            {options.every, options.knobs,
                             folder == servers_folder ? options.client_faults : options.server_faults});
    check_options(suite, options);
    const bool clients = suite.configured == Side::server;
    Selection selection;
    auto& released = clients ? selection.clients : selection.servers;
    released = clients ? options.selection.clients : options.selection.servers;
    if (released.empty()) {
        released = suite.released;
    }
    auto& configured = clients ? selection.servers : selection.clients;
    configured = clients ? options.selection.servers : options.selection.clients;
    selection.scenarios = options.selection.scenarios;
    selection.pairs = Pairs::all;
    std::vector<Case> cases = make_cases(suite.catalogue, selection);
    std::erase_if(cases, [&](const Case& item) {
        return !versions.contains({"server", item.server_peer->name}) ||
               !versions.contains({"client", item.client_peer->name});
    });
    std::vector<reports::CaseResult> results;
    {
        ServerPool pool(workspace, common.programs);
        const RunPlace place{&suite.catalogue, &versions,        common.programs, &workspace, &pool,
                             options.out,      !options.unjudged};
        Progress progress(cases.size(), "cases", options.quiet);
        VerdictCounts counts;
        results = run_cases(cases, place, options.jobs == 0 ? default_jobs() : options.jobs,
                            [&](std::size_t done, const reports::CaseResult& result) {
                                progress.advance(done, counts.add(result));
                            });
    }
    mark_deviations(suite.catalogue.deviations, versions, results);
    const bool whole = options.every == 1 && options.knobs.empty() && options.selection.servers.empty() &&
                       options.selection.clients.empty() && options.selection.scenarios.empty();
    if (whole) {
        std::ranges::move(stale_deviations(suite.catalogue.deviations, versions, results),
                          std::back_inserter(run.stale));
    }
    remove_dull_logs(options.out, results);
    for (const std::string& peer : suite.peers) {
        std::vector<reports::CaseResult> its = taken_out(results, suite.configured, peer);
        const Peer& configured_peer = *suite.catalogue.peer(peer, clients ? "server" : "client");
        if (its.empty()) {
            continue;
        }
        const bool only = suite.peers.size() == 1;
        run.tables.push_back(released_table(
            its, suite.configured,
            only ? suite.title : fmt::format("{}: {}", suite.title, configured_peer.title), suite.about));
        std::ranges::move(roll_up(std::move(its), suite.configured, options.junit_members),
                          std::back_inserter(run.cases));
    }
    quote_deviations(suite.catalogue.deviations, run);
}

} // namespace harness
