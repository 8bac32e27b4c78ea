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

/// Shows how far a search is.
class SearchProgress {
  public:
    void operator()(std::string_view what, std::size_t done, std::size_t of) {
        if (shown_ != what) {
            progress_.emplace(of, std::string(what), false);
            shown_ = what;
        }
        progress_->advance(done);
    }

  private:
    std::optional<Progress> progress_;
    std::string shown_;
};

/// Prints and writes what came of it.
int conclude(const SelfCheckOptions& options, const Catalogue& catalogue,
             const check::Conformance& conformance, const check::Detection& detection) {
    const Bound side = options.client ? Bound::client : Bound::server;
    const std::string program = options.client ? "nbd-resize-client" : "nbd-resize-server";
    if (detection.faults.empty()) {
        throw SelectionError(
            fmt::format("check --self: --fault selects no fault; {} --list-faults names them", program));
    }
    if (options.verbose) {
        print_table(detection);
    }
    if (!options.coverage.empty()) {
        reports::write_text_file(
            options.coverage, check::coverage_markdown(catalogue.requirements, conformance, detection, side));
    }
    if (!options.plan.empty()) {
        check::DetectionPlan plan = conformance.plan;
        (options.client ? plan.clients : plan.servers) =
            check::thin_out(detection, [&](const check::Sighting& sighting) {
                return check::shown_by(sighting, catalogue.requirements, conformance, detection, side);
            });
        reports::write_text_file(options.plan, check::plan_text(plan));
    }
    const bool all_faults = options.faults.empty();
    const std::vector<std::string> unnoticed = detection.unnoticed_faults();
    const std::vector<std::string> idle = all_faults ? detection.idle_cases() : std::vector<std::string>{};
    print_list(options.client ? "Cases that did not pass with the sound reference client"
                              : "Cases that did not pass on the sound reference server",
               detection.unsound);
    print_list(options.client ? "Cases that the reference client can carry out on no errand"
                              : "Cases that no configuration of the reference server can carry out",
               detection.never_run);
    print_list("Faults that no case noticed", unnoticed);
    print_list("Cases that noticed no fault", idle);
    fmt::print("{} runs of cases; {} of {} faults noticed, {} of {} cases noticed some\n", detection.runs,
               detection.faults.size() - unnoticed.size(), detection.faults.size(),
               detection.cases.size() - idle.size(), detection.cases.size());
    if (all_faults) {
        fmt::print("{}\n", check::coverage_line(catalogue.requirements, conformance, detection, side));
    }
    return detection.unsound.empty() && detection.never_run.empty() && unnoticed.empty() && idle.empty()
               ? exit_ok
               : exit_red;
}

} // namespace

int self_check_command(const CommonOptions& common, const SelfCheckOptions& options) {
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    Workspace workspace;
    SearchProgress progress;
    const auto show = [&](std::string_view what, std::size_t done, std::size_t of) {
        progress(what, done, of);
    };
    // Broken programs are mostly waited for.
    const unsigned jobs = 8 * std::max(2U, std::thread::hardware_concurrency());
    if (options.client) {
        const check::ClientSuite suite = make_client_suite(common, catalogue, workspace);
        const check::ClientSelfOptions self{options.faults, jobs, conformance.plan.clients, options.search,
                                            show};
        return conclude(options, catalogue, conformance,
                        check::check_clients_themselves(suite, conformance, self));
    }
    check::SelfOptions self;
    self.server = common.programs / "nbd-resize-server";
    self.faults = options.faults;
    self.jobs = jobs;
    self.plan = conformance.plan.servers;
    self.search = options.search;
    self.progress = show;
    return conclude(options, catalogue, conformance,
                    check::check_servers(conformance, catalogue.requirements, workspace, self));
}

} // namespace harness
