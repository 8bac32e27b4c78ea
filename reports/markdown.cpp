#include "reports/markdown.hpp"

#include "reports/aggregate.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

namespace reports {
namespace {

constexpr std::size_t most_characters_of_message = 240;
constexpr std::size_t most_unsupported_reasons = 40;

using Cells = std::vector<std::string>;

/// A table row; the cells are Markdown already.
std::string row(const Cells& cells) {
    return fmt::format("| {} |\n", fmt::join(cells, " | "));
}

std::string table_head(const Cells& titles) {
    return fmt::format("\n{}{}", row(titles), row(Cells(titles.size(), "---")));
}

/// "6,272 cases: 5,100 passed, 120 failed, …", the verdicts that no case has left out.
std::string totals(const Tally& counts) {
    std::vector<std::string> parts;
    for (const auto verdict : all_verdicts) {
        if (counts[verdict] > 0) {
            parts.push_back(
                fmt::format("{} {} {}", symbol(verdict), grouped(counts[verdict]), past_tense(verdict)));
        }
    }
    auto out = fmt::format("**{}**", counted(counts.total(), "case"));
    if (!parts.empty()) {
        out += fmt::format(": {}", fmt::join(parts, ", "));
    }
    return out;
}

std::string header(const RunResult& run, const Tally& counts) {
    std::string out = "# NBD interoperability matrix\n\n";
    out += fmt::format("Suite {}, started {}, took {:.0f} s.\n\n", markdown_code(run.suite),
                       markdown_cell(day_and_time(run.started)), std::max(run.seconds, 0.0));
    out += totals(counts) + ".\n";
    if (counts.known() > 0) {
        out += fmt::format("{} of them {} listed as known deviations.\n", grouped(counts.known()),
                           counts.known() == 1 ? "is" : "are");
    }
    if (counts.unlisted() > 0) {
        out += fmt::format("**{} with a problem that is not listed.**\n", counted(counts.unlisted(), "case"));
    }
    return out;
}

std::string peers(const RunResult& run) {
    std::string out = "\n## Peers\n";
    out += table_head({"Role", "Peer", "Version", "Variants besides the default"});
    for (const auto& peer : run.peers) {
        Cells variants;
        for (const auto& variant : peer.variants) {
            if (variant != "default") {
                variants.push_back(markdown_code(variant));
            }
        }
        auto title = markdown_cell(peer.name);
        if (!peer.title.empty() && peer.title != peer.name) {
            title += " – " + markdown_cell(peer.title, 80);
        }
        out += row({markdown_cell(peer.role), title,
                    peer.version ? markdown_cell(*peer.version) : "*not installed*",
                    fmt::format("{}", fmt::join(variants, ", "))});
    }
    if (!run.properties.empty()) {
        Cells facts;
        for (const auto& [key, value] : run.properties) {
            facts.push_back(fmt::format("{} {}", markdown_cell(key), markdown_cell(value, 100)));
        }
        out += fmt::format("\nRun on: {}.\n", fmt::join(facts, "; "));
    }
    return out;
}

std::string seat_title(const Seat& seat, std::string_view line_break) {
    auto out = markdown_cell(seat.peer.name);
    if (!seat.installed) {
        out += fmt::format("{}*not installed*", line_break);
    } else if (seat.peer.variant != "default") {
        out += fmt::format("{}{}", line_break, markdown_cell(seat.peer.variant));
    }
    return out;
}

std::string matrix_cell(const Matrix::Cell& cell) {
    Cells parts;
    for (const auto verdict : {Verdict::pass, Verdict::fail, Verdict::timeout, Verdict::crash, Verdict::error,
                               Verdict::warn, Verdict::unsupported}) {
        if (cell.tally[verdict] == 0) {
            continue;
        }
        // Bold where at least one case of that verdict is no listed deviation.
        const bool unlisted =
            is_problem(verdict) && std::ranges::any_of(cell.cases, [verdict](const auto* result) {
                return result->verdict == verdict && !result->known_deviation();
            });
        const auto* form = unlisted ? "**{} {}**" : "{} {}";
        parts.push_back(fmt::format(fmt::runtime(form), cell.tally[verdict], symbol(verdict)));
    }
    return fmt::format("{}", fmt::join(parts, " "));
}

std::string matrix_table(const Matrix& matrix) {
    std::string out = "\n## Matrix\n\n"
                      "Rows are servers, columns clients, each with its variant; a cell counts cases: "
                      "✓ passed, ✗ failed (a MUST), ⚠ warned (a SHOULD), ◷ timed out, ☠ crashed, "
                      "‼ could not be judged, – unsupported. "
                      "**Bold** is what no listed deviation accounts for.\n";
    if (matrix.servers.empty() || matrix.clients.empty()) {
        return out + "\nNo case ran.\n";
    }
    Cells titles{"Server \\ client"};
    for (const auto& client : matrix.clients) {
        titles.push_back(seat_title(client, "<br>"));
    }
    out += table_head(titles);
    for (std::size_t s = 0; s < matrix.servers.size(); ++s) {
        Cells cells{seat_title(matrix.servers[s], " ")};
        for (const auto& cell : matrix.cells[s]) {
            cells.push_back(matrix_cell(cell));
        }
        out += row(cells);
    }
    return out;
}

std::string about_requirement(const RunResult& run, const Problem& problem) {
    if (problem.requirement.empty()) {
        return "";
    }
    auto out = markdown_code(problem.requirement);
    if (const auto* requirement = find_requirement(run, problem.requirement)) {
        out += fmt::format(" ({})", markdown_cell(requirement->level));
    }
    return out;
}

std::string problem_row(const RunResult& run, const Problem& problem, bool listed) {
    auto who = markdown_cell(problem.who);
    if (problem.party == Party::undecided || problem.party == Party::none) {
        who += " *(undecided)*";
    }
    auto what = markdown_cell(problem.message, most_characters_of_message);
    if (!problem.counterparts.empty()) {
        what += fmt::format(" *(with {})*", counted(problem.counterparts.size(),
                                                    problem.party == Party::server ? "client" : "server"));
    }
    Cells cells{fmt::format("{} {}", symbol(problem.verdict), name(problem.verdict)),
                who,
                what,
                about_requirement(run, problem),
                grouped(problem.cases.size()),
                markdown_code(problem.cases.front()->id, 120)};
    if (listed) {
        auto why = markdown_code(problem.deviation);
        if (const auto* deviation = find_deviation(run, problem.deviation)) {
            why += fmt::format(": {}", markdown_cell(deviation->reason, most_characters_of_message));
        }
        cells.insert(cells.begin() + 3, why);
    }
    return row(cells);
}

std::string problems(const RunResult& run) {
    const auto all = find_problems(run);
    const auto first_listed =
        std::ranges::find_if(all, [](const Problem& p) { return !p.deviation.empty(); });
    std::string out = "\n## Problems that are not listed\n";
    if (first_listed == all.begin()) {
        out += "\nNone.\n";
    } else {
        out += table_head({"Verdict", "Peer", "What", "Requirement", "Cases", "Example"});
        for (auto it = all.begin(); it != first_listed; ++it) {
            out += problem_row(run, *it, false);
        }
    }
    out += "\n## Known deviations\n";
    if (first_listed == all.end()) {
        out += "\nNone was seen.\n";
    } else {
        out += table_head({"Verdict", "Peer", "What", "Deviation", "Requirement", "Cases", "Example"});
        for (auto it = first_listed; it != all.end(); ++it) {
            out += problem_row(run, *it, true);
        }
    }
    return out;
}

std::string requirements(const RunResult& run) {
    if (run.requirements.empty()) {
        return "";
    }
    std::string out = "\n## Requirements named above\n";
    out += table_head({"Requirement", "Level", "Statement", "Section"});
    for (const auto& each : run.requirements) {
        out += row({markdown_code(each.id), markdown_cell(each.level), markdown_cell(each.text, 400),
                    markdown_cell(each.section)});
    }
    return out;
}

std::string stale(const RunResult& run) {
    if (run.stale.empty()) {
        return "";
    }
    std::string out =
        "\n## Stale deviations\n\nListed for peers of this run, but not seen: fixed, or no longer "
        "tested.\n";
    out += table_head({"Deviation", "Peer", "Listed because"});
    for (const auto& each : run.stale) {
        out += row({markdown_code(each.id), markdown_cell(each.peer),
                    markdown_cell(each.reason, most_characters_of_message)});
    }
    return out;
}

std::string evidence(const std::vector<EvidenceTable>& tables, std::string_view heading) {
    std::string out;
    for (const auto& table : tables) {
        out += fmt::format("\n{} {}\n", heading, markdown_cell(table.title));
        if (!table.about.empty()) {
            out += fmt::format("\n{}\n", markdown_cell(table.about));
        }
        Cells titles;
        std::ranges::transform(table.columns, std::back_inserter(titles),
                               [](const std::string& title) { return markdown_cell(title); });
        out += table_head(titles);
        for (const auto& cells : table.rows) {
            Cells escaped;
            std::ranges::transform(cells, std::back_inserter(escaped),
                                   [](const std::string& cell) { return markdown_cell(cell); });
            out += row(escaped);
        }
    }
    return out;
}

std::string observations(const RunResult& run) {
    const auto all = find_observations(run);
    if (all.empty()) {
        return "";
    }
    std::string out =
        "\n## Observations\n\nWhat scenarios record without judging it. Where not all cases of a server "
        "agree, the commonest answer stands first, and the others say which variants or clients gave "
        "them.\n";
    for (const auto& scenario : all) {
        out += fmt::format("\n### {}\n\nScenario {}.\n",
                           markdown_cell(scenario.title.empty() ? scenario.scenario : scenario.title),
                           markdown_code(scenario.scenario));
        Cells titles{"Question"};
        for (const auto& server : scenario.servers) {
            titles.push_back(markdown_cell(server));
        }
        out += table_head(titles);
        for (const auto& question : scenario.questions) {
            Cells cells{markdown_cell(question.text)};
            for (const auto& answers : question.answers) {
                Cells parts;
                for (const auto& answer : answers) {
                    parts.push_back(markdown_cell(answer.text, 80));
                    if (!answer.qualifier.empty()) {
                        parts.back() += fmt::format(" *({})*", markdown_cell(answer.qualifier));
                    }
                }
                cells.push_back(fmt::format("{}", fmt::join(parts, "<br>")));
            }
            out += row(cells);
        }
    }
    return out;
}

std::string unsupported(const RunResult& run) {
    const auto all = find_unsupported(run);
    if (all.empty()) {
        return "";
    }
    std::string out = "\n## Unsupported\n\nCases that did not run because a peer cannot express them.\n";
    out += table_head({"Peer", "Reason", "Scenarios", "Cases"});
    std::size_t rest = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i >= most_unsupported_reasons) {
            rest += all[i].cases;
            continue;
        }
        const auto reason = all[i].reason.empty() ? "no reason given" : all[i].reason;
        out += row({all[i].peer.empty() ? "–" : markdown_cell(all[i].peer),
                    markdown_cell(reason, most_characters_of_message), grouped(all[i].scenarios.size()),
                    grouped(all[i].cases)});
    }
    if (rest > 0) {
        out +=
            row({"", fmt::format("… and {}", counted(all.size() - most_unsupported_reasons, "other reason")),
                 "", grouped(rest)});
    }
    return out;
}

} // namespace

std::string to_markdown(const RunResult& run) {
    const auto counts = tally(run);
    return header(run, counts) + peers(run) + matrix_table(make_matrix(run)) + problems(run) + stale(run) +
           requirements(run) + evidence(run.tables, "##") + observations(run) + unsupported(run);
}

std::string to_spec_matrix(const RunResult& run) {
    std::string out = "# Live resize of NBD exports: what a run shows\n\n";
    out += fmt::format("Run of {}, started {}", markdown_cell(run.suite), markdown_cell(run.started));
    Cells versions;
    for (const auto& peer : run.peers) {
        if (peer.version) {
            versions.push_back(markdown_cell(fmt::format("{} {}", peer.name, *peer.version)));
        }
    }
    if (!versions.empty()) {
        out += fmt::format(", with {}", fmt::join(versions, ", "));
    }
    out += ".\n";
    for (std::size_t i = 0; i < run.questions.size(); ++i) {
        const auto& question = run.questions[i];
        out += fmt::format("\n## {}. {}\n", i + 1, markdown_cell(question.question));
        out += evidence(question.tables, "###");
        if (!question.beyond.empty()) {
            out += fmt::format("\n{}\n", markdown_cell(question.beyond));
        }
    }
    return out + evidence(run.tables, "##");
}

} // namespace reports
