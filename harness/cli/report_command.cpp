#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "reports/files.hpp"
#include "reports/results_json.hpp"
#include "reports/summary.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace harness {

int report_command(const ReportOptions& options) {
    std::vector<reports::RunResult> shards;
    for (const std::filesystem::path& file : options.results) {
        shards.push_back(reports::read_results(file));
        reports::rebase_folders(shards.back(), file.parent_path(), options.out);
    }
    const reports::RunResult run = reports::merge(std::move(shards));
    const reports::JunitOptions junit{options.deviations_as_skipped};
    reports::write_reports(options.out, run, junit);
    fmt::print("{}", reports::summary(run, {20, isatty(STDOUT_FILENO) == 1}));
    return exit_code(run);
}

} // namespace harness
