#include "harness/released/roll_up.hpp"

#include "harness/catalogue/glob.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace harness {
namespace {

using reports::CaseResult;
using reports::Verdict;

/// How often a question was answered in each way, in the order in which they came.
class Observed {
  public:
    void add(const CaseResult& result) {
        for (const reports::Observation& observation : result.observations) {
            const auto key = std::pair(observation.question, observation.answer);
            const auto [at, is_new] = index_.emplace(key, counts_.size());
            if (is_new) {
                counts_.emplace_back(observation, 0);
            }
            ++counts_[at->second].second;
        }
    }
    [[nodiscard]] const std::vector<std::pair<reports::Observation, std::size_t>>& counts() const {
        return counts_;
    }

  private:
    std::map<std::pair<std::string, std::string>, std::size_t> index_;
    std::vector<std::pair<reports::Observation, std::size_t>> counts_;
};

/// The one whose configurations are many, and the other one.
reports::PeerId& configured_peer(CaseResult& result, Side configured) {
    return configured == Side::server ? result.server : result.client;
}

const reports::PeerId& released_peer(const CaseResult& result, Side configured) {
    return configured == Side::server ? result.client : result.server;
}

/// Cases that are rolled up into one.
struct Group {
    CaseResult first;
    std::size_t count = 0;
    double seconds = 0;
    Observed observed;
    std::vector<std::string> members;
};

CaseResult one_for_all(Group group, Side configured, bool members) {
    CaseResult result = std::move(group.first);
    const std::string configurations = reports::counted(group.count, "configuration");
    configured_peer(result, configured).variant = "default";
    result.knobs.clear();
    result.folder.clear();
    result.id = fmt::format("{}/{}/{}", label(result.server.name, result.server.variant),
                            label(result.client.name, result.client.variant), result.scenario);
    if (result.verdict != Verdict::pass) {
        result.id += result.verdict == Verdict::unsupported ? " (unsupported)" : " (deviation)";
        result.reason += fmt::format(" ({})", configurations);
    }
    result.seconds = group.seconds;
    result.observations.clear();
    if (result.verdict == Verdict::pass) {
        result.observations.push_back({"configurations as expected", reports::grouped(group.count)});
    }
    for (const auto& [observation, count] : group.observed.counts()) {
        result.observations.push_back(
            {observation.question,
             fmt::format("{} ({})", observation.answer, reports::counted(count, "configuration"))});
    }
    if (members && result.verdict == Verdict::pass) {
        result.members = std::move(group.members);
    }
    return result;
}

/// The listed deviations of a case. What comes of one may differ in numbers from case to case.
std::string listed_in(const CaseResult& result) {
    std::set<std::string> ids;
    for (const reports::Finding& finding : result.findings) {
        ids.insert(finding.deviation);
    }
    return fmt::format("{}", fmt::join(ids, " "));
}

} // namespace

std::vector<CaseResult> taken_out(std::vector<CaseResult>& cases, Side configured, const std::string& peer) {
    const auto first = std::ranges::stable_partition(
        cases, [&](CaseResult& result) { return configured_peer(result, configured).name != peer; });
    std::vector<CaseResult> its(std::make_move_iterator(first.begin()), std::make_move_iterator(first.end()));
    cases.erase(first.begin(), first.end());
    return its;
}

std::vector<CaseResult> roll_up(std::vector<CaseResult> cases, Side configured, bool members) {
    using Key = std::tuple<reports::PeerId, std::string, Verdict, std::string>;
    std::map<Key, std::size_t> index;
    std::vector<Group> groups;
    std::vector<CaseResult> others;
    for (CaseResult& result : cases) {
        const bool known = result.known_deviation() && !members;
        if (result.verdict != Verdict::pass && result.verdict != Verdict::unsupported && !known) {
            configured_peer(result, configured).variant = "default";
            others.push_back(std::move(result));
            continue;
        }
        const Key key{released_peer(result, configured), result.scenario, result.verdict,
                      known ? listed_in(result) : result.reason};
        const auto [at, is_new] = index.emplace(key, groups.size());
        if (is_new) {
            groups.push_back({result, 0, 0, {}, {}});
        }
        Group& group = groups[at->second];
        ++group.count;
        group.seconds += result.seconds;
        group.observed.add(result);
        group.members.push_back(configured_peer(result, configured).variant);
    }
    std::vector<CaseResult> all;
    for (Group& group : groups) {
        all.push_back(one_for_all(std::move(group), configured, members));
    }
    // One scenario may be unsupported for several reasons.
    std::map<std::string, std::size_t> seen;
    for (CaseResult& result : all) {
        if (const std::size_t before = seen[result.id]++; before > 0) {
            result.id += fmt::format(" {}", before + 1);
        }
    }
    std::move(others.begin(), others.end(), std::back_inserter(all));
    return all;
}

reports::EvidenceTable released_table(const std::vector<CaseResult>& cases, Side configured,
                                      const std::string& title, const std::string& about) {
    struct Row {
        std::size_t all = 0;
        std::size_t passed = 0;
        Observed observed;
    };
    std::map<std::pair<reports::PeerId, std::string>, Row> rows;
    std::vector<std::pair<reports::PeerId, std::string>> order;
    for (const CaseResult& result : cases) {
        if (result.verdict == Verdict::unsupported) {
            continue;
        }
        const auto key = std::pair(released_peer(result, configured), result.title);
        const auto [at, is_new] = rows.emplace(key, Row{});
        if (is_new) {
            order.push_back(key);
        }
        ++at->second.all;
        at->second.passed += result.verdict == Verdict::pass ? 1 : 0;
        at->second.observed.add(result);
    }
    reports::EvidenceTable table{
        title,
        about,
        {configured == Side::server ? "client" : "server", "what happens", "as it should", "what came"},
        {}};
    for (const auto& key : order) {
        const Row& row = rows.at(key);
        std::vector<std::string> came;
        for (const auto& [observation, count] : row.observed.counts()) {
            came.push_back(fmt::format("{}: {} ({})", observation.question, observation.answer,
                                       reports::grouped(count)));
        }
        table.rows.push_back(
            {label(key.first.name, key.first.variant), key.second,
             fmt::format("{} of {}", reports::grouped(row.passed), reports::grouped(row.all)),
             fmt::format("{}", fmt::join(came, "; "))});
    }
    return table;
}

} // namespace harness
