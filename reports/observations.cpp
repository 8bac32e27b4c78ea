#include "reports/aggregate.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

namespace reports {
namespace {

/// Whose answers to a question were what.
struct AnswerTally {
    std::size_t cases = 0;
    std::set<std::string> variants;
    std::set<std::string> clients;
};
using AnswersOfServer = std::map<std::string, AnswerTally>; // by answer

/// True if no member of `part` gave any other answer: then naming the members says who gave this one.
bool tells_apart(const AnswersOfServer& answers, std::set<std::string> AnswerTally::*part) {
    std::map<std::string, int> seen;
    for (const auto& [text, answer] : answers) {
        for (const auto& who : answer.*part) {
            ++seen[who];
        }
    }
    return std::ranges::all_of(seen, [](const auto& entry) { return entry.second == 1; });
}

std::string listed(const std::set<std::string>& names) {
    constexpr std::size_t most = 4;
    std::string out;
    std::size_t count = 0;
    for (const auto& each : names) {
        if (count == most) {
            return out + fmt::format(" and {} more", names.size() - most);
        }
        out += (count++ == 0 ? "" : ", ") + each;
    }
    return out;
}

std::vector<Answer> sorted_answers(const AnswersOfServer& answers) {
    std::vector<AnswersOfServer::const_iterator> order;
    std::size_t cases = 0;
    for (auto it = answers.begin(); it != answers.end(); ++it) {
        order.push_back(it);
        cases += it->second.cases;
    }
    std::ranges::stable_sort(order, std::ranges::greater{}, [](auto it) { return it->second.cases; });
    const bool by_variant = tells_apart(answers, &AnswerTally::variants);
    const bool by_client = tells_apart(answers, &AnswerTally::clients);

    std::vector<Answer> out;
    for (const auto& it : order) {
        const auto& who = it->second;
        std::string qualifier;
        // What most cases say is the rule and needs no qualifier if the exceptions to it have one that tells
        // all.
        const bool rule = it == order.front() && 2 * who.cases > cases && (by_variant || by_client);
        if (answers.size() > 1 && !rule) {
            qualifier = by_variant  ? listed(who.variants)
                        : by_client ? "with " + listed(who.clients)
                                    : fmt::format("{} of {}", who.cases, counted(cases, "case"));
        }
        out.push_back({it->first, qualifier});
    }
    return out;
}

} // namespace

std::vector<ObservedScenario> find_observations(const RunResult& run) {
    std::vector<ObservedScenario> out;
    std::map<std::string, std::size_t> scenario_index;
    std::map<std::pair<std::string, std::string>, std::map<std::string, AnswersOfServer>> tallies;
    for (const auto& result : run.cases) {
        for (const auto& observation : result.observations) {
            const auto [at, is_new] = scenario_index.emplace(result.scenario, out.size());
            if (is_new) {
                out.push_back({result.scenario, result.title, {}, {}});
            }
            auto& by_server = tallies[{result.scenario, observation.question}];
            if (by_server.empty()) {
                out[at->second].questions.push_back({observation.question, {}});
            }
            auto& answer = by_server[result.server.name][observation.answer];
            ++answer.cases;
            answer.variants.insert(result.server.variant);
            answer.clients.insert(result.client.name);
        }
    }
    std::vector<std::string> server_order;
    for (const auto& seat : make_matrix(run).servers) {
        if (server_order.empty() || server_order.back() != seat.peer.name) {
            server_order.push_back(seat.peer.name);
        }
    }
    for (auto& scenario : out) {
        for (const auto& server : server_order) {
            const bool answers_any = std::ranges::any_of(scenario.questions, [&](const Question& question) {
                return tallies.at({scenario.scenario, question.text}).contains(server);
            });
            if (answers_any) {
                scenario.servers.push_back(server);
            }
        }
        for (auto& question : scenario.questions) {
            const auto& by_server = tallies.at({scenario.scenario, question.text});
            for (const auto& server : scenario.servers) {
                const auto it = by_server.find(server);
                question.answers.push_back(it == by_server.end() ? std::vector<Answer>{}
                                                                 : sorted_answers(it->second));
            }
        }
    }
    return out;
}

} // namespace reports
