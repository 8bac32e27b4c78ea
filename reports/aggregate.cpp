#include "reports/aggregate.hpp"

#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace reports {
namespace {

using Seats = std::vector<Seat>;

/// The rows or columns: the peers of that role in the catalogue's order, the variants that took part in
/// theirs, then what cases name and the catalogue does not.
Seats make_seats(const RunResult& run, std::string_view role, std::set<PeerId> taking_part) {
    Seats seats;
    const auto take = [&](const PeerId& id) {
        if (taking_part.erase(id) > 0) {
            seats.push_back({id, true});
        }
    };
    for (const auto& peer : run.peers) {
        if (peer.role != role) {
            continue;
        }
        take({peer.name, "default"});
        for (const auto& variant : peer.variants) {
            take({peer.name, variant});
        }
        // A variant that the catalogue does not name stands with its peer nevertheless.
        const std::vector<PeerId> others(taking_part.begin(), taking_part.end());
        for (const auto& id : others) {
            if (id.name == peer.name) {
                take(id);
            }
        }
        if (!peer.version && (seats.empty() || seats.back().peer.name != peer.name)) {
            seats.push_back({{peer.name, "default"}, false});
        }
    }
    for (const auto& id : taking_part) {
        seats.push_back({id, true});
    }
    return seats;
}

std::map<PeerId, std::size_t> index_of(const Seats& seats) {
    std::map<PeerId, std::size_t> index;
    for (std::size_t i = 0; i < seats.size(); ++i) {
        index.emplace(seats[i].peer, i);
    }
    return index;
}

/// The peer that a party of this case is, with its version: "nbdkit", "1.32.5".
std::pair<std::string, std::string> party_of(const RunResult& run, const CaseResult& result, Party party) {
    const auto server = version_of(run, "server", result.server.name);
    const auto client = version_of(run, "client", result.client.name);
    switch (party) {
    case Party::server:
        return {result.server.name, server};
    case Party::client:
        return {result.client.name, client};
    case Party::undecided:
    case Party::none:
        break;
    }
    return {result.server.name + " × " + result.client.name, server + " × " + client};
}

/// The same with each version behind its name.
std::string who_is(const RunResult& run, const CaseResult& result, Party party) {
    const auto server = result.server.name + " " + version_of(run, "server", result.server.name);
    const auto client = result.client.name + " " + version_of(run, "client", result.client.name);
    return party == Party::server ? server : party == Party::client ? client : server + " × " + client;
}

/// What a case says as findings: those that it has, or one made of its reason if it has none.
std::vector<Finding> findings_of(const CaseResult& result) {
    if (!result.findings.empty() || !is_problem(result.verdict)) {
        return result.findings;
    }
    return {{result.verdict, result.party, "", "", result.reason, ""}};
}

/// Two findings with the same key are the same problem.
std::string problem_key(const Finding& finding, const CaseResult& result, const std::string& peer) {
    const auto key = [&](std::string_view kind, std::string_view what) {
        return fmt::format("{}\n{}\n{}\n{}\n{}", kind, what, name(finding.verdict), name(finding.party),
                           peer);
    };
    if (!finding.deviation.empty()) {
        return key("deviation", finding.deviation);
    }
    if (!finding.requirement.empty()) {
        return key("requirement", finding.requirement);
    }
    if (finding.verdict == Verdict::error) {
        return fmt::format("error\n{}", finding.message);
    }
    return key("scenario", result.scenario);
}

template <typename Item>
const Item* find_by_id(const std::vector<Item>& items, std::string_view id) {
    const auto it = std::ranges::find(items, id, &Item::id);
    return it == items.end() ? nullptr : &*it;
}

} // namespace

void Tally::add(const CaseResult& result) {
    ++by_verdict_[static_cast<std::size_t>(result.verdict)];
    if (result.known_deviation()) {
        ++known_;
    } else if (is_problem(result.verdict)) {
        ++unlisted_;
    }
}

std::size_t Tally::total() const {
    std::size_t sum = 0;
    for (const auto count : by_verdict_) {
        sum += count;
    }
    return sum;
}

Tally tally(const RunResult& run) {
    Tally counts;
    for (const auto& result : run.cases) {
        counts.add(result);
    }
    return counts;
}

bool is_problem(Verdict verdict) {
    return verdict != Verdict::pass && verdict != Verdict::unsupported;
}

int severity(Verdict verdict) {
    switch (verdict) {
    case Verdict::unsupported:
        return 0;
    case Verdict::pass:
        return 1;
    case Verdict::warn:
        return 2;
    case Verdict::fail:
        return 3;
    case Verdict::timeout:
        return 4;
    case Verdict::crash:
        return 5;
    case Verdict::error:
        return 6;
    }
    return 6;
}

std::string_view symbol(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "✓";
    case Verdict::fail:
        return "✗";
    case Verdict::warn:
        return "⚠";
    case Verdict::unsupported:
        return "–";
    case Verdict::timeout:
        return "◷";
    case Verdict::crash:
        return "☠";
    case Verdict::error:
        return "‼";
    }
    return "‼";
}

std::string_view past_tense(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return "passed";
    case Verdict::fail:
        return "failed";
    case Verdict::warn:
        return "warned";
    case Verdict::unsupported:
        return "unsupported";
    case Verdict::timeout:
        return "timed out";
    case Verdict::crash:
        return "crashed";
    case Verdict::error:
        return "could not be judged";
    }
    return "could not be judged";
}

const PeerInfo* find_peer(const RunResult& run, std::string_view role, std::string_view peer_name) {
    const auto it = std::ranges::find_if(
        run.peers, [&](const PeerInfo& p) { return p.role == role && p.name == peer_name; });
    return it == run.peers.end() ? nullptr : &*it;
}

std::string version_of(const RunResult& run, std::string_view role, std::string_view peer_name) {
    const auto* peer = find_peer(run, role, peer_name);
    return peer != nullptr && peer->version && !peer->version->empty() ? *peer->version : "unknown version";
}

std::string label(const PeerId& peer) {
    return peer.variant.empty() || peer.variant == "default" ? peer.name : peer.name + "+" + peer.variant;
}

Matrix make_matrix(const RunResult& run) {
    std::set<PeerId> servers;
    std::set<PeerId> clients;
    for (const auto& result : run.cases) {
        servers.insert(result.server);
        clients.insert(result.client);
    }
    Matrix matrix{make_seats(run, "server", servers), make_seats(run, "client", clients), {}};
    const auto server_index = index_of(matrix.servers);
    const auto client_index = index_of(matrix.clients);
    matrix.cells.resize(matrix.servers.size());
    for (auto& row : matrix.cells) {
        row.resize(matrix.clients.size());
    }
    for (const auto& result : run.cases) {
        auto& cell = matrix.cells[server_index.at(result.server)][client_index.at(result.client)];
        cell.tally.add(result);
        cell.cases.push_back(&result);
    }
    return matrix;
}

std::vector<Problem> find_problems(const RunResult& run) {
    std::vector<Problem> problems;
    std::map<std::string, std::size_t> index;
    for (const auto& result : run.cases) {
        for (const auto& finding : findings_of(result)) {
            const auto [peer, version] = party_of(run, result, finding.party);
            const auto [at, is_new] = index.emplace(problem_key(finding, result, peer), problems.size());
            if (is_new) {
                problems.push_back({finding.verdict,
                                    finding.party,
                                    peer,
                                    version,
                                    who_is(run, result, finding.party),
                                    finding.deviation,
                                    finding.requirement,
                                    finding.message,
                                    {},
                                    {},
                                    {}});
            }
            auto& problem = problems[at->second];
            problem.scenarios.insert(result.scenario);
            if (finding.party == Party::server) {
                problem.counterparts.insert(result.client.name);
            } else if (finding.party == Party::client) {
                problem.counterparts.insert(result.server.name);
            }
            if (problem.cases.empty() || problem.cases.back() != &result) {
                problem.cases.push_back(&result);
            }
        }
    }
    std::ranges::stable_sort(problems, {}, [](const Problem& p) {
        return std::tuple(!p.deviation.empty(), -severity(p.verdict), p.peer, p.deviation, p.requirement);
    });
    return problems;
}

const DeviationInfo* find_deviation(const RunResult& run, std::string_view id) {
    return find_by_id(run.deviations, id);
}

const RequirementInfo* find_requirement(const RunResult& run, std::string_view id) {
    return find_by_id(run.requirements, id);
}

std::vector<Unsupported> find_unsupported(const RunResult& run) {
    std::map<std::pair<std::string, std::string>, Unsupported> by_peer_and_reason;
    for (const auto& result : run.cases) {
        if (result.verdict != Verdict::unsupported) {
            continue;
        }
        const bool named = result.party == Party::server || result.party == Party::client;
        const auto peer = named ? party_of(run, result, result.party).first : std::string{};
        auto& entry = by_peer_and_reason[{peer, result.reason}];
        entry.reason = result.reason;
        entry.party = result.party;
        entry.peer = peer;
        ++entry.cases;
        entry.scenarios.insert(result.scenario);
    }
    std::vector<Unsupported> out;
    out.reserve(by_peer_and_reason.size());
    for (auto& [key, entry] : by_peer_and_reason) {
        out.push_back(std::move(entry));
    }
    std::ranges::stable_sort(out, std::ranges::greater{}, &Unsupported::cases);
    return out;
}

} // namespace reports
