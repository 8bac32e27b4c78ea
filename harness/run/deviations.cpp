#include "harness/run/deviations.hpp"

#include "harness/run/selection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace harness {
namespace {

using reports::CaseResult;
using reports::Finding;
using reports::Party;
using reports::PeerId;

bool any_selects(const std::vector<std::string>& patterns, const PeerId& peer) {
    return std::ranges::any_of(patterns,
                               [&](const std::string& p) { return selects(p, peer.name, peer.variant); });
}

/// Could this case show the deviation?
bool concerns(const Deviation& deviation, const Versions& versions, const CaseResult& item) {
    const PeerId& peer = deviation.role == "server" ? item.server : item.client;
    const PeerId& other = deviation.role == "server" ? item.client : item.server;
    const auto version = versions.find({deviation.role, peer.name});
    return version != versions.end() && deviation.versions.contains(version->second) &&
           any_selects(deviation.peers, peer) &&
           (deviation.others.empty() || any_selects(deviation.others, other)) &&
           std::ranges::any_of(deviation.scenarios, [&](const std::string& pattern) {
               return glob_match(pattern, item.scenario);
           });
}

/// Is this finding the deviation?
bool is_it(const Deviation& deviation, const Finding& finding) {
    const Party side = deviation.role == "server" ? Party::server : Party::client;
    return deviation.verdict == reports::name(finding.verdict) && deviation.rule == finding.requirement &&
           (finding.party == side || finding.party == Party::undecided);
}

} // namespace

void mark_deviations(const std::vector<Deviation>& deviations, const Versions& versions,
                     std::vector<CaseResult>& cases) {
    for (CaseResult& item : cases) {
        for (Finding& finding : item.findings) {
            for (const Deviation& deviation : deviations) {
                if (finding.deviation.empty() && is_it(deviation, finding) &&
                    concerns(deviation, versions, item)) {
                    finding.deviation = deviation.id;
                }
            }
        }
    }
}

std::vector<reports::StaleDeviation> stale_deviations(const std::vector<Deviation>& deviations,
                                                      const Versions& versions,
                                                      const std::vector<CaseResult>& cases) {
    std::vector<reports::StaleDeviation> stale;
    for (const Deviation& deviation : deviations) {
        bool could = false;
        bool seen = false;
        for (const CaseResult& item : cases) {
            if (item.verdict == reports::Verdict::unsupported || item.verdict == reports::Verdict::error) {
                continue;
            }
            could = could || concerns(deviation, versions, item);
            seen = seen || std::ranges::any_of(item.findings,
                                               [&](const Finding& f) { return f.deviation == deviation.id; });
        }
        if (could && !seen) {
            stale.push_back(
                {deviation.id, fmt::format("{}", fmt::join(deviation.peers, ", ")), deviation.reason});
        }
    }
    return stale;
}

void quote_deviations(const std::vector<Deviation>& deviations, reports::RunResult& run) {
    std::set<std::string> named;
    for (const CaseResult& item : run.cases) {
        for (const Finding& finding : item.findings) {
            named.insert(finding.deviation);
        }
    }
    for (const Deviation& deviation : deviations) {
        if (named.contains(deviation.id)) {
            run.deviations.push_back({deviation.id, fmt::format("{}", fmt::join(deviation.peers, ", ")),
                                      deviation.versions.text(), deviation.reason, ""});
        }
    }
}

void quote_requirements(const Requirements& requirements, reports::RunResult& run) {
    std::set<std::string> named;
    for (const CaseResult& item : run.cases) {
        for (const Finding& finding : item.findings) {
            named.insert(finding.requirement);
        }
    }
    for (const auto& [id, requirement] : requirements) {
        if (named.contains(id)) {
            run.requirements.push_back({id, requirement.level == Level::must ? "MUST" : "SHOULD",
                                        requirement.section, requirement.text});
        }
    }
}

} // namespace harness
