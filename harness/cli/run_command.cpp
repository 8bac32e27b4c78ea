#include "harness/catalogue/catalogue.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/cli/lives.hpp"
#include "harness/cli/progress.hpp"
#include "harness/cli/released.hpp"
#include "harness/peers/detect.hpp"
#include "harness/peers/server_pool.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/deviations.hpp"
#include "harness/run/scheduler.hpp"
#include "reports/files.hpp"
#include "reports/summary.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

namespace harness {
namespace {

namespace fs = std::filesystem;

/// Which distribution this is, as its own file says.
std::string distribution() {
    std::ifstream file("/etc/os-release");
    constexpr std::string_view key = "PRETTY_NAME=";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) {
            std::string value = line.substr(key.size());
            std::erase(value, '"');
            return value;
        }
    }
    return "unknown";
}

std::map<std::string, std::string> host_facts() {
    std::map<std::string, std::string> facts;
    facts["nbd-interop"] = NBD_INTEROP_VERSION;
    facts["distribution"] = distribution();
    utsname name{};
    if (uname(&name) == 0) {
        facts["kernel"] = fmt::format("{} {}", name.sysname, name.release);
        facts["machine"] = name.machine;
    }
    return facts;
}

/// The peers of the catalogue with the versions found here.
std::vector<reports::PeerInfo> find_peers(const Catalogue& catalogue, const fs::path& programs,
                                          Versions& versions) {
    std::vector<reports::PeerInfo> infos;
    for (const Peer& peer : catalogue.peers) {
        const Detected detected = detect(peer, programs);
        if (detected.version) {
            versions[{peer.role, peer.name}] = *detected.version;
        } else {
            fmt::print(stderr, "nbd-interop: {} '{}' is left out: {}\n", peer.role, peer.name,
                       detected.problem);
        }
        infos.push_back({peer.name, peer.role, peer.title, detected.version, peer.variant_names()});
    }
    return infos;
}

/// Refuses the run if a peer that the user insists on is not here.
bool all_required_are_here(const Catalogue& catalogue, const RunOptions& options, const Versions& versions) {
    bool all = true;
    for (const std::string& name : options.required) {
        bool known = false;
        bool here = false;
        std::vector<std::string> names;
        for (const Peer& peer : catalogue.peers) {
            names.push_back(peer.name);
            known = known || peer.name == name;
            here = here || (peer.name == name && versions.contains({peer.role, peer.name}));
        }
        if (!known) {
            throw SelectionError(
                fmt::format("--require {}: no peer has that name{}", name, did_you_mean(name, names)));
        }
        if (!here) {
            fmt::print(stderr, "nbd-interop: the peer '{}' is required, but it is not installed\n", name);
            all = false;
        }
    }
    return all;
}

/// The folder of the reports, without the cases of an earlier run. Throws SelectionError if it cannot be
/// made.
fs::path prepare_folder(const fs::path& folder) {
    try {
        fs::create_directories(folder);
        fs::remove_all(folder / "cases");
        fs::remove_all(folder / "probes");
        return fs::absolute(folder);
    } catch (const fs::filesystem_error& error) {
        throw SelectionError(fmt::format("--out {}: {}", folder.string(), error.code().message()));
    }
}

bool installed(const Case& item, const Versions& versions) {
    return versions.contains({"server", item.server_peer->name}) &&
           versions.contains({"client", item.client_peer->name});
}

/// The suite of released peers.
constexpr const char* interop_suite = "interop";

/// Runs the released peers against each other. `options.out` is an absolute path.
void run_interop(const Catalogue& catalogue, std::vector<Case> cases, const Versions& versions,
                 const CommonOptions& common, const RunOptions& options, Workspace& workspace,
                 reports::RunResult& run) {
    std::erase_if(cases, [&](const Case& item) { return !installed(item, versions); });
    {
        ServerPool pool(workspace, common.programs);
        const RunPlace place{&catalogue, &versions,   common.programs,  &workspace,
                             &pool,      options.out, !options.unjudged};
        Progress progress(cases.size(), "cases", options.quiet);
        VerdictCounts counts;
        run.cases = run_cases(cases, place, options.jobs == 0 ? default_jobs() : options.jobs,
                              [&](std::size_t done, const reports::CaseResult& result) {
                                  progress.advance(done, counts.add(result));
                              });
    }
    mark_deviations(catalogue.deviations, versions, run.cases);
    const bool whole = options.selection.servers.empty() && options.selection.clients.empty() &&
                       options.selection.scenarios.empty();
    if (whole) {
        run.stale = stale_deviations(catalogue.deviations, versions, run.cases);
    }
    quote_deviations(catalogue.deviations, run);
}

} // namespace

int run_command(const CommonOptions& common, RunOptions options) {
    // The janitor has to come before any thread.
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const bool interop = std::ranges::find(options.suites, interop_suite) != options.suites.end();
    std::vector<Case> cases = interop ? make_cases(catalogue, options.selection) : std::vector<Case>{};

    reports::RunResult run;
    const auto begin = std::chrono::system_clock::now();
    const auto begin_steady = std::chrono::steady_clock::now();
    run.suite = fmt::format("{}", fmt::join(options.suites, ", "));
    run.started =
        fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(begin)));
    run.properties = host_facts();
    Versions versions;
    run.peers = find_peers(catalogue, common.programs, versions);
    if (!all_required_are_here(catalogue, options, versions)) {
        return exit_nothing;
    }
    options.out = prepare_folder(options.out);
    {
        Workspace workspace;
        if (interop) {
            run_interop(catalogue, std::move(cases), versions, common, options, workspace, run);
        }
        for (const std::string& suite : options.suites) {
            if (is_released_suite(suite)) {
                run_released(suite, catalogue, versions, common, options, workspace, run);
            } else if (suite != interop_suite) {
                run_lives(suite, common, options, workspace, run);
            }
        }
    }
    quote_requirements(catalogue.requirements, run);
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_steady).count();

    const reports::JunitOptions junit{options.deviations_as_skipped};
    reports::write_reports(options.out, run, junit);
    fmt::print("{}", reports::summary(run, {20, isatty(STDOUT_FILENO) == 1}));
    if (const Janitor::Leftovers left = janitor.finish(); !left.none()) {
        fmt::print(stderr, "nbd-interop: {} processes and {} folders had to be cleaned up at the end{}\n",
                   left.processes, left.directories, left.clean ? "" : "; some are still there");
    }
    return exit_code(run);
}

} // namespace harness
