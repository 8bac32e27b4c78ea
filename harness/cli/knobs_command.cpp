#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"
#include "harness/knobs/knobs.hpp"
#include "harness/knobs/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness {
namespace {

void print_counts(const Knobs& knobs) {
    fmt::print("server {}\nclient {}\ncombinations {}\n", knobs.configurations(Side::server).size(),
               knobs.configurations(Side::client).size(), knobs.count());
}

void print_knobs(const Knobs& knobs) {
    for (const Side side : all_sides) {
        fmt::print("{} ({} valid configurations)\n", side_name(side), knobs.configurations(side).size());
        for (const Knob& knob : knobs.of(side)) {
            fmt::print("\n  {:<14}{}\n", knob.name, knob.says);
            if (!knob.applies.empty()) {
                fmt::print("  {:<14}Applies where {}.\n", "", describe(knob.applies, knobs.columns()));
            }
            for (std::size_t value = 0; value < knob.values.size(); ++value) {
                if (knob.values[value] != not_applicable) {
                    fmt::print("    {:<12}{}\n", knob.values[value], knob.meanings[value]);
                }
            }
        }
        bool first = true;
        for (const KnobRule& rule : knobs.rules()) {
            if (rule.side == side) {
                fmt::print("{}  - {}\n    Where {}: {}.\n", first ? "\n  Rules\n" : "", rule.says,
                           describe(rule.when, knobs.columns()), describe(rule.need, knobs.columns()));
                first = false;
            }
        }
        fmt::print("\n");
    }
    fmt::print("{} combinations\n", knobs.count());
}

/// The combination that a text of three parts means. Throws SelectionError.
Combination read_combination(const Knobs& knobs, const std::vector<std::string>& parts) {
    std::array<std::uint32_t, 3> found{};
    for (const Side side : all_sides) {
        const auto at = static_cast<std::size_t>(side);
        std::string error = fmt::format("'{}' sets no knob of the {}", parts.at(at), side_name(side));
        const auto configuration = knobs.find(side, parts.at(at), error);
        if (!configuration) {
            throw SelectionError(fmt::format("{}: {}", side_name(side), error));
        }
        found.at(at) = static_cast<std::uint32_t>(*configuration);
    }
    return {found[0], found[1], found[2]};
}

void print_life(const Knobs& knobs, const Oracle& oracle, const Combination& combination) {
    const std::size_t index = knobs.index(combination);
    fmt::print("combination {} of {}: {}\n\n", index, knobs.count(), knobs.text(combination));
    for (std::size_t question = 0; question < oracle.questions().size(); ++question) {
        const Row& row = oracle.row(index, question);
        fmt::print("{:<19}{:<16}{}\n{:<19}line {}: {}\n", oracle.questions()[question].name,
                   oracle.answer(index, question).text, oracle.questions()[question].title, "",
                   row.position.line, row.when);
        if (!row.because.empty()) {
            fmt::print("{:<19}{}\n", "", row.because);
        }
    }
}

} // namespace

int knobs_command(const CommonOptions& common, const KnobsOptions& options) {
    const Knobs knobs = Knobs::load(common.scenarios / "knobs.yaml");
    if (options.count) {
        print_counts(knobs);
    } else if (!options.life.empty()) {
        const Combination combination = read_combination(knobs, options.life);
        print_life(knobs, Oracle::load(common.scenarios / "resize/life.yaml", knobs), combination);
    } else {
        print_knobs(knobs);
    }
    return exit_ok;
}

} // namespace harness
