#include "harness/cli/lives.hpp"

#include "harness/cli/progress.hpp"
#include "harness/exhaustive/evidence.hpp"
#include "harness/exhaustive/life_report.hpp"
#include "harness/exhaustive/lives.hpp"
#include "harness/process/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <thread>

namespace harness {
namespace {

/// Each `every`th of the combinations whose knobs have the values that the user asked for, "growth=both".
std::vector<std::size_t> select(const Knobs& knobs, const std::vector<std::string>& wanted,
                                std::size_t every) {
    std::vector<ColumnCondition> conditions;
    for (const std::string& text : wanted) {
        const auto equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const auto knob = std::ranges::find(knobs.columns(), name, &Column::name);
        if (equals == std::string::npos || knob == knobs.columns().end()) {
            std::vector<std::string> names;
            std::ranges::transform(knobs.columns(), std::back_inserter(names), &Column::name);
            throw SelectionError(fmt::format("--knob {}: write KNOB=VALUE; the knobs are {}", text,
                                             fmt::format("{}", fmt::join(names, ", "))));
        }
        const int value = find_value(*knob, text.substr(equals + 1));
        if (value < 0) {
            throw SelectionError(fmt::format("--knob {}: the values of {} are {}", text, name,
                                             fmt::format("{}", fmt::join(knob->values, ", "))));
        }
        conditions.push_back(
            {static_cast<std::size_t>(knob - knobs.columns().begin()), std::uint64_t{1} << value});
    }
    std::vector<std::size_t> selected;
    for (std::size_t index = 0; index < knobs.count(); ++index) {
        const Combination combination = knobs.combination(index);
        std::vector<std::uint8_t> values;
        for (const Side side : all_sides) {
            const Configuration& configuration = knobs.configurations(side)[combination.of(side)];
            values.insert(values.end(), configuration.begin(),
                          configuration.begin() + static_cast<std::ptrdiff_t>(knobs.of(side).size()));
        }
        if (std::ranges::all_of(conditions, [&](const ColumnCondition& condition) {
                return condition.holds(values[condition.column]);
            })) {
            selected.push_back(index);
        }
    }
    std::vector<std::size_t> thinned;
    for (std::size_t i = 0; i < selected.size(); i += every) {
        thinned.push_back(selected[i]);
    }
    if (thinned.empty()) {
        throw SelectionError("no combination has all of these knobs");
    }
    return thinned;
}

/// Drivers at a time: a life mostly waits for the server, and wakes up cheaper when there is always something
/// to do.
unsigned default_clients() {
    return 4 * std::max(1U, std::thread::hardware_concurrency());
}

} // namespace

void run_lives(const std::string& suite_name, const CommonOptions& common, const RunOptions& options,
               Workspace& workspace, reports::RunResult& run) {
    const std::filesystem::path folder = common.scenarios / "resize";
    const LifeSuite suite = load_life_suite(folder / "exhaustive.yaml");
    if (suite.name != suite_name) {
        throw SelectionError(
            fmt::format("--suite {}: there are interop, resize-clients, resize-servers, resize-pairs, "
                        "qcow2-stacks, qcow2-stacks-brief and {}",
                        suite_name, suite.name));
    }
    const Knobs knobs = Knobs::load(common.scenarios / "knobs.yaml");
    const Oracle oracle = Oracle::load(suite.life, knobs);
    const Evidence evidence = Evidence::load(suite.evidence, knobs, oracle);
    const std::vector<std::size_t> combinations = select(knobs, options.knobs, options.every);

    const std::filesystem::path logs = options.out / suite.name;
    std::filesystem::create_directories(logs);
    Progress progress(combinations.size(), "combinations", options.quiet);
    const Lives lives = lead_lives({&suite, &knobs, &oracle, common.programs, &workspace, logs,
                                    options.server_faults, options.client_faults, options.fail_fast},
                                   combinations, options.jobs == 0 ? default_clients() : options.jobs,
                                   [&](std::size_t done) { progress.advance(done); });
    std::ranges::move(life_cases(suite, knobs, oracle, lives, options.junit_members),
                      std::back_inserter(run.cases));
    evidence.add_to(run, knobs, oracle, lives.as_expected);
    fmt::print("{}: {} combinations in {:.1f} s, {:.0f} a second, {} not as expected\n", suite.name,
               lives.executed, lives.seconds, static_cast<double>(lives.executed) / lives.seconds,
               lives.unexpected_count);
}

} // namespace harness
