#include "reports/html_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace reports::html {
namespace {

constexpr std::size_t most_characters_of_message = 600;
constexpr std::size_t most_findings = 10;

/// The order in which a reader wants to see them.
constexpr std::array by_interest{Verdict::error, Verdict::crash, Verdict::timeout,    Verdict::fail,
                                 Verdict::warn,  Verdict::pass,  Verdict::unsupported};

std::string knobs_of(const CaseResult& result) {
    std::string out;
    for (const auto& [knob, value] : result.knobs) {
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", knob, value);
    }
    return out;
}

Data findings_of(const CaseResult& result) {
    auto out = list();
    for (std::size_t i = 0; i < std::min(result.findings.size(), most_findings); ++i) {
        const auto& finding = result.findings[i];
        out << object({{"f-verdict", text(name(finding.verdict))},
                       {"f-party", text(name(finding.party))},
                       {"f-step", maybe(finding.step)},
                       {"f-message", text(finding.message, most_characters_of_message)},
                       {"f-requirement", maybe(finding.requirement)},
                       {"f-deviation", maybe(finding.deviation)}});
    }
    return out;
}

Data case_entry(const CaseResult& result) {
    // The reason often is the first finding's message: once is enough.
    const bool repeats =
        !result.findings.empty() &&
        (result.verdict == Verdict::pass || result.findings.front().message.starts_with(result.reason));
    const auto more = result.findings.size() - std::min(result.findings.size(), most_findings);
    // So does a finding say whose it is.
    const bool attributed =
        result.findings.empty() && result.party != Party::none && is_problem(result.verdict);
    return object({{"scenario", text(result.scenario)},
                   {"href", maybe(href(result.folder))},
                   {"knobs", maybe(knobs_of(result))},
                   {"known", Data(result.known_deviation())},
                   {"attribution", maybe(attributed ? name(result.party) : "")},
                   {"reason", maybe(repeats ? "" : result.reason, most_characters_of_message)},
                   {"findings", findings_of(result)},
                   {"more", maybe(more > 0 ? grouped(more) : "")}});
}

Data verdict_groups(const Matrix::Cell& cell) {
    auto groups = list();
    for (const auto verdict : by_interest) {
        if (cell.tally[verdict] == 0) {
            continue;
        }
        auto entries = list();
        for (const auto* result : cell.cases) {
            if (result->verdict == verdict) {
                entries << case_entry(*result);
            }
        }
        groups << object({{"class", Data(css_class(verdict))},
                          {"verdict", Data(name(verdict))},
                          {"symbol", text(symbol(verdict))},
                          {"word", text(past_tense(verdict))},
                          {"count", number(cell.tally[verdict])},
                          {"entries", std::move(entries)}});
    }
    return groups;
}

} // namespace

Data counts(const Tally& tally) {
    auto out = list();
    for (const auto verdict : by_interest) {
        if (tally[verdict] == 0) {
            continue;
        }
        const auto share = 100.0 * static_cast<double>(tally[verdict]) / static_cast<double>(tally.total());
        out << object({{"symbol", text(symbol(verdict))},
                       {"count", number(tally[verdict])},
                       {"word", text(past_tense(verdict))},
                       {"class", Data(css_class(verdict))},
                       {"percent", Data(fmt::format("{:.2f}", share))}});
    }
    return out;
}

std::string spoken(const Tally& tally) {
    std::string out;
    for (const auto verdict : by_interest) {
        if (tally[verdict] > 0) {
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", tally[verdict], past_tense(verdict));
        }
    }
    return out;
}

std::string pair_anchor(std::size_t server, std::size_t client) {
    return fmt::format("p{}-{}", server, client);
}

std::string cell_class(const Matrix::Cell& cell) {
    int worst = 0;
    for (const auto* result : cell.cases) {
        if (is_problem(result->verdict) && !result->known_deviation()) {
            worst = std::max(worst, severity(result->verdict));
        }
    }
    if (worst > severity(Verdict::warn)) {
        return "c-fail";
    }
    if (worst == severity(Verdict::warn)) {
        return "c-warn";
    }
    if (cell.tally.known() > 0) {
        return "c-known";
    }
    return cell.tally.executed() > 0 ? "c-pass" : "c-none";
}

Data case_list(const Matrix& matrix) {
    auto servers = list();
    for (std::size_t s = 0; s < matrix.servers.size(); ++s) {
        auto pairs = list();
        Tally sum;
        for (std::size_t c = 0; c < matrix.clients.size(); ++c) {
            const auto& cell = matrix.cells[s][c];
            if (cell.cases.empty()) {
                continue;
            }
            for (const auto* result : cell.cases) {
                sum.add(*result);
            }
            pairs << object({{"anchor", Data(pair_anchor(s, c))},
                             {"pair-server", text(label(matrix.servers[s].peer))},
                             {"pair-client", text(label(matrix.clients[c].peer))},
                             {"pair-class", Data(cell_class(cell))},
                             {"pair-counts", counts(cell.tally)},
                             {"groups", verdict_groups(cell)}});
        }
        if (sum.total() > 0) {
            servers << object({{"list-server", text(label(matrix.servers[s].peer))},
                               {"list-counts", counts(sum)},
                               {"pairs", std::move(pairs)}});
        }
    }
    return servers;
}

} // namespace reports::html
