#include "harness/check/client_self.hpp"
#include "harness/check/coverage.hpp"
#include "harness/check/self_check.hpp"
#include "harness/cli/client_suite.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/cli/progress.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "reports/files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <thread>

namespace harness {
namespace {

void print_table(const check::Detection& detection) {
    for (const check::ListedFault& fault : detection.faults) {
        const std::set<std::string> cases = detection.noticed(fault.name);
        fmt::print("{:<34} {:<28} {}\n", fault.name, fault.requirement,
                   cases.empty() ? "nobody noticed" : fmt::format("{}", fmt::join(cases, ", ")));
    }
}

void print_list(const std::string& title, const std::vector<std::string>& lines) {
    if (!lines.empty()) {
        fmt::print("{}:\n", title);
        for (const std::string& line : lines) {
            fmt::print("  {}\n", line);
        }
    }
}

/// The cases for clients on the faults of the reference client.
int check_clients(const CommonOptions& common, const Catalogue& catalogue,
                  const check::Conformance& conformance, Workspace& workspace) {
    const check::ClientSuite suite = make_client_suite(common, catalogue, workspace);
    const check::SelfTable table = check::check_clients_themselves(suite, conformance.client_cases);
    std::size_t unnoticed = 0;
    for (const check::SelfRow& row : table.rows) {
        fmt::print("{:<34} {:<28} {}\n", row.fault.name, row.fault.requirement,
                   row.noticed.empty() ? "nobody noticed" : fmt::format("{}", fmt::join(row.noticed, ", ")));
        unnoticed += row.noticed.empty() ? 1U : 0U;
    }
    print_list("Cases that noticed no fault", table.untripped);
    fmt::print("{} of {} faults noticed, {} of {} cases noticed some\n", table.rows.size() - unnoticed,
               table.rows.size(), conformance.client_cases.size() - table.untripped.size(),
               conformance.client_cases.size());
    return table.whole() ? exit_ok : exit_red;
}

} // namespace

int self_check_command(const CommonOptions& common, const SelfCheckOptions& options) {
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    Workspace workspace;
    if (options.client) {
        return check_clients(common, catalogue, conformance, workspace);
    }
    check::SelfOptions self;
    self.server = common.programs / "nbd-resize-server";
    self.faults = options.faults;
    self.jobs = std::max(2U, std::thread::hardware_concurrency());
    if (!options.search) {
        self.plan = conformance.plan.servers;
    }
    std::optional<Progress> progress;
    std::string shown;
    self.progress = [&](std::string_view what, std::size_t done, std::size_t of) {
        if (shown != what) {
            progress.emplace(of, std::string(what), false);
            shown = what;
        }
        progress->advance(done);
    };
    const check::Detection detection =
        check::check_servers(conformance, catalogue.requirements, workspace, self);
    if (detection.faults.empty()) {
        throw SelectionError(
            "check --self: --fault selects no fault; nbd-resize-server --list-faults names them");
    }
    if (options.verbose) {
        print_table(detection);
    }
    if (!options.coverage.empty()) {
        reports::write_text_file(options.coverage,
                                 check::coverage_markdown(catalogue.requirements, conformance, detection));
    }
    if (!options.plan.empty()) {
        check::DetectionPlan plan = conformance.plan;
        plan.servers = check::thin_out(detection, [&](const check::Sighting& sighting) {
            return check::shown_by(sighting, catalogue.requirements, conformance, detection);
        });
        reports::write_text_file(options.plan, check::plan_text(plan));
    }
    const bool all_faults = options.faults.empty();
    const std::vector<std::string> unnoticed = detection.unnoticed_faults();
    const std::vector<std::string> idle = all_faults ? detection.idle_cases() : std::vector<std::string>{};
    print_list("Cases that did not pass on the sound reference server", detection.unsound);
    print_list("Cases that no configuration of the reference server can carry out", detection.never_run);
    print_list("Faults that no case noticed", unnoticed);
    print_list("Cases that noticed no fault", idle);
    fmt::print("{} runs of cases; {} of {} faults noticed, {} of {} cases noticed some\n", detection.runs,
               detection.faults.size() - unnoticed.size(), detection.faults.size(),
               detection.cases.size() - idle.size(), detection.cases.size());
    if (all_faults) {
        fmt::print("{}\n", check::coverage_line(catalogue.requirements, conformance, detection));
    }
    return detection.unsound.empty() && detection.never_run.empty() && unnoticed.empty() && idle.empty()
               ? exit_ok
               : exit_red;
}

} // namespace harness
