#include "harness/exhaustive/life_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace harness {
namespace {

/// The peers as reports name them. Which programs they are is the suite's affair.
constexpr const char* server_name = "reference-server";
constexpr const char* client_name = "reference-client";

reports::CaseResult new_case(const LifeSuite& suite) {
    reports::CaseResult result;
    result.scenario = "resize-life";
    result.title = suite.title;
    result.group = "resize";
    result.server = {server_name, "default"};
    result.client = {client_name, "default"};
    return result;
}

void add_knobs(reports::CaseResult& result, const Knobs& knobs, Side side, std::size_t configuration) {
    for (const Knob& knob : knobs.of(side)) {
        if (const std::string& value = knobs.value(side, configuration, knob.name); value != not_applicable) {
            result.knobs[knob.id] = value;
        }
    }
}

reports::CaseResult unexpected_case(const LifeSuite& suite, const Knobs& knobs, const Oracle& oracle,
                                    const UnexpectedLife& life) {
    reports::CaseResult result = new_case(suite);
    const Combination combination = knobs.combination(life.combination);
    result.id = fmt::format("{}/{}/resize-life {}", server_name, client_name, knobs.text(combination));
    for (const Side side : all_sides) {
        add_knobs(result, knobs, side, combination.of(side));
    }
    result.verdict = life.verdict;
    result.party = life.party;
    result.reason = life.reason;
    for (const WrongAnswer& wrong : life.wrong) {
        const Question& question = oracle.questions()[wrong.question];
        result.findings.push_back({life.verdict, life.party, question.rules.front(), question.name,
                                   fmt::format("{}: {} was expected, {} came ({})", question.title,
                                               wrong.expected, wrong.came, wrong.row),
                                   ""});
    }
    if (result.reason.empty() && !result.findings.empty()) {
        result.reason = fmt::format("{}: {}", result.findings.front().step, result.findings.front().message);
    }
    return result;
}

/// What the judge found on the wire, each requirement a case; or one that it found nothing.
std::vector<reports::CaseResult> wire_cases(const LifeSuite& suite, const Lives& lives) {
    std::vector<reports::CaseResult> cases;
    const auto add = [&](const std::string& name) -> reports::CaseResult& {
        reports::CaseResult result = new_case(suite);
        result.title = "What goes over the wire in lives";
        result.scenario = "resize-life-wire";
        result.id = fmt::format("{}/{}/{}", server_name, client_name, name);
        cases.push_back(std::move(result));
        return cases.back();
    };
    for (const WireFinding& found : lives.wire) {
        reports::CaseResult& result =
            add(fmt::format("resize-life-wire {} by the {}", found.requirement, wire::name(found.by)));
        result.verdict = found.mandatory ? reports::Verdict::fail : reports::Verdict::warn;
        result.party = found.by == wire::Side::server ? reports::Party::server : reports::Party::client;
        result.reason = fmt::format("{} ({}; {} times)", found.what, found.place, found.times);
        result.findings.push_back(
            {result.verdict, result.party, found.requirement, "wire", result.reason, ""});
    }
    if (lives.wire.empty() && lives.judged_connections > 0) {
        add("resize-life-wire")
            .observations.push_back(
                {fmt::format("connections judged (those of each combination whose number {} divides)",
                             suite.judge_every),
                 std::to_string(lives.judged_connections)});
    }
    return cases;
}

} // namespace

std::vector<reports::CaseResult> life_cases(const LifeSuite& suite, const Knobs& knobs, const Oracle& oracle,
                                            const Lives& lives, bool members) {
    std::vector<std::vector<std::size_t>> as_expected(knobs.configurations(Side::server).size());
    for (std::size_t index = lives.as_expected.find_first(); index != CombinationSet::npos;
         index = lives.as_expected.find_next(index)) {
        as_expected[knobs.combination(index).server].push_back(index);
    }
    std::vector<reports::CaseResult> cases;
    for (std::size_t server = 0; server < as_expected.size(); ++server) {
        const std::size_t count = as_expected[server].size();
        if (count == 0) {
            continue;
        }
        reports::CaseResult result = new_case(suite);
        result.id =
            fmt::format("{}/{}/resize-life {}", server_name, client_name, knobs.text(Side::server, server));
        add_knobs(result, knobs, Side::server, server);
        result.observations.push_back({"combinations as expected", std::to_string(count)});
        result.seconds = lives.seconds * static_cast<double>(count) / static_cast<double>(lives.executed);
        if (members) {
            for (const std::size_t index : as_expected[server]) {
                result.members.push_back(knobs.text(knobs.combination(index)));
            }
        }
        cases.push_back(std::move(result));
    }
    for (const UnexpectedLife& life : lives.unexpected) {
        cases.push_back(unexpected_case(suite, knobs, oracle, life));
    }
    std::ranges::move(wire_cases(suite, lives), std::back_inserter(cases));
    return cases;
}

} // namespace harness
