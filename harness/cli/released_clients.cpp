#include "harness/cli/released_clients.hpp"

#include "harness/catalogue/glob.hpp"
#include "harness/cli/progress.hpp"
#include "harness/peers/server_pool.hpp"
#include "harness/process/workspace.hpp"
#include "harness/released/client_suite.hpp"
#include "harness/released/roll_up.hpp"
#include "harness/run/deviations.hpp"
#include "harness/run/scheduler.hpp"
#include "reports/aggregate.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

namespace harness {
namespace {

namespace fs = std::filesystem;

/// Removes the logs of cases that nobody has a question about, which are thousands of folders.
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

} // namespace

void run_released_clients(const Catalogue& base, const Versions& versions, const CommonOptions& common,
                          const RunOptions& options, Workspace& workspace, reports::RunResult& run) {
    const fs::path folder = common.scenarios / "resize";
    const Knobs knobs = Knobs::load(common.scenarios / "knobs.yaml");
    const ClientSuite suite = load_client_suite(folder / "clients/suite.yaml", base, knobs, options.every,
                                                options.knobs, options.server_faults);
    Selection selection;
    selection.clients = options.selection.clients.empty() ? suite.clients : options.selection.clients;
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
        const RunPlace place{&suite.catalogue, &versions, common.programs, &workspace, &pool, options.out};
        Progress progress(cases.size(), "cases", options.quiet);
        VerdictCounts counts;
        results = run_cases(cases, place, options.jobs == 0 ? default_jobs() : options.jobs,
                            [&](std::size_t done, const reports::CaseResult& result) {
                                progress.advance(done, counts.add(result));
                            });
    }
    mark_deviations(suite.catalogue.deviations, versions, results);
    remove_dull_logs(options.out, results);
    run.tables.push_back(released_clients_table(results));
    std::ranges::move(roll_up(std::move(results), options.junit_members), std::back_inserter(run.cases));
}

} // namespace harness
