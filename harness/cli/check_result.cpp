#include "harness/cli/check_result.hpp"

#include "harness/run/deviations.hpp"
#include "reports/files.hpp"
#include "reports/html.hpp"
#include "reports/junit.hpp"
#include "reports/results_json.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace harness {
namespace {

using reports::Verdict;

void be_strict(reports::RunResult& run) {
    for (reports::CaseResult& item : run.cases) {
        item.verdict = item.verdict == Verdict::warn ? Verdict::fail : item.verdict;
    }
}

void write_files(const CheckOptions& options, const reports::RunResult& run) {
    if (!options.junit.empty()) {
        reports::write_text_file(options.junit, reports::to_junit(run));
    }
    if (!options.json.empty()) {
        reports::write_results(options.json, run);
    }
    if (!options.html.empty()) {
        reports::write_text_file(options.html, reports::to_html(run));
    }
}

ExitCode verdict_on(const reports::RunResult& run, const CheckOptions& options) {
    bool tested = false;
    bool red = false;
    for (const reports::CaseResult& item : run.cases) {
        tested = tested || item.verdict != Verdict::unsupported;
        const bool good = item.verdict == Verdict::pass || item.verdict == Verdict::unsupported ||
                          item.verdict == Verdict::warn;
        // What is known was a warning before the user was strict, or a failure.
        red = red || (!good && !(options.known_ok && item.known_deviation()));
    }
    return !tested ? exit_nothing : red ? exit_red : exit_ok;
}

} // namespace

ExitCode finish_check(const CheckOptions& options, const Requirements& requirements,
                      check::SuiteResult result, check::TextOptions text) {
    reports::RunResult& run = result.run;
    run.properties["nbd-interop"] = NBD_INTEROP_VERSION;
    quote_requirements(requirements, run);
    if (options.strict) {
        be_strict(run);
    }
    write_files(options, run);
    text.verbose = options.verbose;
    text.colour = isatty(STDOUT_FILENO) == 1;
    fmt::print("{}", check::to_text(result, requirements, text));
    return verdict_on(run, options);
}

} // namespace harness
