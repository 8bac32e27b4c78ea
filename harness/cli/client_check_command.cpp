#include "harness/catalogue/glob.hpp"
#include "harness/catalogue/yaml.hpp"
#include "harness/check/client_suite.hpp"
#include "harness/check/conformance.hpp"
#include "harness/cli/check_result.hpp"
#include "harness/cli/client_suite.hpp"
#include "harness/cli/progress.hpp"
#include "harness/peers/detect.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/deviations.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

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

} // namespace

check::ClientSuite make_client_suite(const CommonOptions& common, const Catalogue& catalogue,
                                     Workspace& workspace) {
    ClientSuite suite;
    suite.programs = common.programs;
    suite.workspace = &workspace;
    suite.requirements = &catalogue.requirements;
    suite.faults = check::list_faults(common.programs / "nbd-resize-server", "--list-faults");
    suite.oddities = check::list_faults(common.programs / "nbd-resize-server", "--list-oddities");
    return suite;
}

int client_check_command(const CommonOptions& common, const CheckOptions& options) {
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    const std::vector<ClientCase> cases = chosen(conformance.client_cases, options.cases);
    if (options.target.empty()) {
        throw SelectionError(
            "check --client: the client's command is missing, behind --: check --client -- nbdinfo '{uri}'");
    }
    Workspace workspace;
    ClientSuite suite = make_client_suite(common, catalogue, workspace);
    suite.command.argv = options.target;
    suite.command.limit = std::chrono::milliseconds(std::llround(options.timeout * 1000));
    suite.jobs = options.jobs;
    suite.out = options.out.empty() ? fs::path() : fs::absolute(options.out);
    check::check_faults(cases, suite.faults, suite.oddities);
    if (!suite.command.has_address()) {
        throw SelectionError(
            "check --client: the client's command has no {uri}, {socket} or {port}: where is the server?");
    }
    suite.client = fs::path(options.target.front()).filename().string();
    check::SuiteResult result;
    try {
        Progress progress(cases.size(), "cases", false);
        VerdictCounts counts;
        result.run =
            check::run_client_suite(suite, cases, [&](std::size_t done, const reports::CaseResult& item) {
                progress.advance(done, counts.add(item));
            });
    } catch (const check::NothingTested& error) {
        fmt::print(stderr, "nbd-interop: check: nothing was tested: {}\n", error.what());
        return exit_nothing;
    }
    result.run.suite = fmt::format("check of {}", fmt::join(options.target, " "));
    result.facts = fmt::format("{} cases in {:.1f} s", result.run.cases.size(), result.run.seconds);
    mark(catalogue, conformance.deviations, common, suite.client, result.run);
    check::TextOptions text;
    text.again =
        fmt::format("nbd-interop check --client --case {{case}} -- {}", fmt::join(options.target, " "));
    for (const ClientCase& item : cases) {
        if (!item.ambiguous.empty()) {
            text.ambiguous["check/" + item.name] = item.ambiguous;
        }
    }
    return finish_check(options, catalogue.requirements, std::move(result), std::move(text));
}

} // namespace harness
