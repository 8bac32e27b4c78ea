#include "harness/catalogue/glob.hpp"
#include "harness/catalogue/yaml.hpp"
#include "harness/check/client_self.hpp"
#include "harness/check/client_suite.hpp"
#include "harness/check/conformance.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/cli/progress.hpp"
#include "harness/peers/detect.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/deviations.hpp"
#include "reports/summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <unistd.h>

namespace harness {
namespace {

namespace fs = std::filesystem;
using check::ClientCase;
using check::ClientSuite;

/// The cases that a pattern selects.
std::vector<ClientCase> chosen(std::vector<ClientCase> cases, const std::vector<std::string>& patterns) {
    if (!patterns.empty()) {
        std::erase_if(cases, [&](const ClientCase& item) {
            return std::ranges::none_of(
                patterns, [&](const std::string& pattern) { return glob_match(pattern, item.name); });
        });
    }
    if (cases.empty()) {
        throw SelectionError(fmt::format("--case {}: there is no such case", fmt::join(patterns, ", ")));
    }
    return cases;
}

/// Marks what is known of the installed version of the client.
void mark(const Catalogue& catalogue, const std::vector<Deviation>& deviations, const CommonOptions& common,
          const std::string& client, reports::RunResult& run) {
    const Peer* const peer = catalogue.peer(client, "client");
    if (peer == nullptr) {
        return;
    }
    const Detected detected = detect(*peer, common.programs);
    if (detected.version) {
        const Versions versions{{{"client", client}, *detected.version}};
        mark_deviations(deviations, versions, run.cases);
        quote_deviations(deviations, run);
    }
}

void print(const reports::RunResult& run, bool verbose) {
    for (const reports::CaseResult& item : run.cases) {
        const bool dull =
            item.verdict == reports::Verdict::pass || item.verdict == reports::Verdict::unsupported;
        if (!dull || verbose) {
            fmt::print("{:<11} {:<40} {}\n", reports::name(item.verdict), item.scenario, item.reason);
        }
        for (const reports::Finding& finding : item.findings) {
            fmt::print("              {} [{}] {}{}\n", finding.step, finding.requirement, finding.message,
                       finding.deviation.empty() ? "" : " (known: " + finding.deviation + ")");
        }
    }
}

int check_self(const ClientSuite& suite, const std::vector<ClientCase>& cases) {
    const check::SelfTable table = check::check_clients_themselves(suite, cases);
    for (const check::SelfRow& row : table.rows) {
        fmt::print("{:<34} {:<26} {}\n", row.fault.name, row.fault.requirement,
                   row.noticed.empty() ? "NOT NOTICED" : fmt::format("{}", fmt::join(row.noticed, ", ")));
    }
    for (const std::string& untripped : table.untripped) {
        fmt::print("no fault trips {}\n", untripped);
    }
    fmt::print("{} faults, {} of them not noticed; {} cases, {} of them tripped by none\n", table.rows.size(),
               std::ranges::count_if(table.rows, [](const auto& row) { return row.noticed.empty(); }),
               cases.size(), table.untripped.size());
    return table.whole() ? exit_ok : exit_red;
}

} // namespace

int client_check_command(const CommonOptions& common, const ClientCheckOptions& options) {
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    const std::vector<ClientCase> cases = chosen(conformance.client_cases, options.cases);
    Workspace workspace;
    ClientSuite suite;
    suite.command.argv = options.argv;
    suite.command.limit = std::chrono::milliseconds(std::llround(options.timeout * 1000));
    suite.programs = common.programs;
    suite.workspace = &workspace;
    suite.requirements = &catalogue.requirements;
    suite.faults = check::list_faults(common.programs / "nbd-resize-server", "--list-faults");
    suite.oddities = check::list_faults(common.programs / "nbd-resize-server", "--list-oddities");
    suite.jobs = options.jobs;
    suite.out = options.out.empty() ? fs::path() : fs::absolute(options.out);
    check::check_faults(cases, suite.faults, suite.oddities);
    if (options.self) {
        return check_self(suite, cases);
    }
    if (!suite.command.has_address()) {
        throw SelectionError("the client's command has no {uri}, {socket} or {port}: where is the server?");
    }
    suite.client = fs::path(options.argv.front()).filename().string();
    try {
        Progress progress(cases.size(), "cases", false);
        VerdictCounts counts;
        reports::RunResult run =
            check::run_client_suite(suite, cases, [&](std::size_t done, const reports::CaseResult& result) {
                progress.advance(done, counts.add(result));
            });
        mark(catalogue, conformance.deviations, common, suite.client, run);
        print(run, options.verbose);
        fmt::print("{}{:.1f} s\n", reports::summary(run, {20, isatty(STDOUT_FILENO) == 1}), run.seconds);
        return exit_code(run);
    } catch (const check::NothingTested& error) {
        fmt::print(stderr, "nbd-interop: {}\n", error.what());
        return exit_nothing;
    }
}

} // namespace harness
