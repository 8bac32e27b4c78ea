#include "harness/stacks/evidence.hpp"

#include "harness/catalogue/glob.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness {
namespace {

bool any_matches(const std::vector<std::string>& patterns, const std::string& text) {
    return std::ranges::any_of(patterns,
                               [&](const std::string& pattern) { return glob_match(pattern, text); });
}

} // namespace

bool StackEvidence::concerns(const Count& count, const StackCase& item) {
    return any_matches(count.scenarios, item.scenario_name()) && satisfied(count.among, item.facts()) &&
           std::ranges::any_of(item.scenario->actions,
                               [&](const Action& action) { return action.record == count.record; });
}

bool StackEvidence::is_so(const Count& count, const reports::CaseResult& result) {
    return std::ranges::any_of(result.observations, [&](const reports::Observation& observation) {
        return observation.question == count.record && any_matches(count.answers, observation.answer);
    });
}

StackEvidence StackEvidence::load(const std::filesystem::path& file, const StackSuite& suite) {
    StackEvidence evidence;
    YamlMap map = YamlNode::load(file).map();
    evidence.question_ = map.required("question").text();
    evidence.title_ = map.required("title").text();
    evidence.about_ = map.required("about").text();
    const std::vector<StackCase> cases = stack_cases(suite, false);
    for (const YamlNode& node : map.required("counts").list()) {
        YamlMap entry = node.map();
        Count count;
        count.says = entry.required("says").text();
        count.scenarios = entry.required("scenarios").texts();
        entry.optional("among", [&](const YamlNode& value) {
            count.among = suite.catalogue.facts.conditions(value, "");
        });
        count.record = entry.required("record").text();
        count.answers = entry.required("answers").texts();
        entry.finish();
        if (std::ranges::none_of(cases, [&](const StackCase& item) { return concerns(count, item); })) {
            node.fail("no case of the suite is like this, or none records it");
        }
        evidence.counts_.push_back(std::move(count));
    }
    for (const YamlNode& node : map.required("reproduce").list()) {
        YamlMap entry = node.map();
        evidence.reproductions_.push_back({entry.required("says").text(), entry.required("run").text()});
        entry.finish();
    }
    map.finish();
    return evidence;
}

void StackEvidence::add_to(reports::RunResult& run, const std::vector<StackCase>& cases,
                           const std::vector<reports::CaseResult>& results) const {
    reports::EvidenceTable table{
        title_, about_, {"statement", "cases", "one where it is so", "one where it is not"}, {}};
    for (const Count& count : counts_) {
        std::size_t all = 0;
        std::size_t so = 0;
        std::string example = "–";
        std::string other = "–";
        for (std::size_t i = 0; i < cases.size(); ++i) {
            if (!concerns(count, cases[i]) || results[i].verdict == reports::Verdict::unsupported) {
                continue;
            }
            ++all;
            const bool is = is_so(count, results[i]);
            so += is ? 1 : 0;
            std::string& shown = is ? example : other;
            if (shown == "–") {
                shown = cases[i].id();
            }
        }
        if (all > 0) {
            table.rows.push_back({count.says,
                                  fmt::format("{} of {}", reports::grouped(so), reports::grouped(all)),
                                  example, other});
        }
    }
    if (table.rows.empty()) {
        return;
    }
    reports::EvidenceTable shortest{"The shortest ways to see it", "", {"what", "commands"}, {}};
    for (const Reproduction& reproduction : reproductions_) {
        shortest.rows.push_back({reproduction.says, reproduction.run});
    }
    reports::add_question(run, {question_, {std::move(table), std::move(shortest)}, ""});
}

} // namespace harness
