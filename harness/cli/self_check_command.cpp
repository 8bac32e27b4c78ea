#include "harness/check/coverage.hpp"
#include "harness/check/self_check.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/cli/progress.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "reports/files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

namespace harness {
namespace {

void print_table(const check::Detection& detection) {
    for (const check::ListedFault& fault : detection.faults) {
        const auto found = detection.noticed.find(fault.name);
        fmt::print("{:<34} {:<28} {}\n", fault.name, fault.requirement,
                   found == detection.noticed.end() ? "nobody noticed"
                                                    : fmt::format("{}", fmt::join(found->second, ", ")));
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

} // namespace

int self_check_command(const CommonOptions& common, const SelfCheckOptions& options) {
    Janitor janitor = Janitor::start();
    interrupt::install();
    const Catalogue catalogue = load_catalogue(common.scenarios);
    const check::Conformance conformance = check::load_conformance(catalogue);
    Workspace workspace;
    check::SelfOptions self;
    self.server = common.programs / "nbd-resize-server";
    self.faults = options.faults;
    self.jobs = std::max(2U, std::thread::hardware_concurrency());
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
