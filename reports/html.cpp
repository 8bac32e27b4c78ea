#include "reports/html.hpp"

#include "reports/html_data.hpp"
#include "reports/templates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <vector>

namespace reports {
namespace {

using namespace html;

constexpr std::size_t most_characters_of_message = 400;

/// A run of neighbouring seats of one peer.
struct Span {
    std::size_t first = 0;
    std::size_t length = 0;
};

std::vector<Span> spans_of(const std::vector<Seat>& seats) {
    std::vector<Span> spans;
    for (std::size_t i = 0; i < seats.size(); ++i) {
        if (i == 0 || seats[i].peer.name != seats[i - 1].peer.name) {
            spans.push_back({i, 0});
        }
        ++spans.back().length;
    }
    return spans;
}

std::string version_or_nothing(const RunResult& run, std::string_view role, const Seat& seat) {
    return seat.installed ? version_of(run, role, seat.peer.name) : "not installed";
}

Data matrix_cell(const Matrix& matrix, std::size_t s, std::size_t c) {
    const auto& cell = matrix.cells[s][c];
    const bool installed = matrix.servers[s].installed && matrix.clients[c].installed;
    auto problems = list();
    for (const auto verdict :
         {Verdict::error, Verdict::crash, Verdict::timeout, Verdict::fail, Verdict::warn}) {
        if (cell.tally[verdict] > 0) {
            problems << object({{"class", Data(css_class(verdict))},
                                {"symbol", text(symbol(verdict))},
                                {"count", number(cell.tally[verdict])}});
        }
    }
    return object(
        {{"empty", Data(cell.cases.empty())},
         {"missing", Data(!installed)},
         {"class", Data(cell.cases.empty() ? "c-empty" : cell_class(cell))},
         {"anchor", Data(pair_anchor(s, c))},
         {"title",
          text(fmt::format("{} with {}: {}{}", label(matrix.servers[s].peer), label(matrix.clients[c].peer),
                           spoken(cell.tally),
                           cell.tally.known() == 0 ? "" : fmt::format(" ({} known)", cell.tally.known())))},
         {"has-problems", Data(problems.is_non_empty_list())},
         {"problems", problems},
         {"passed", number(cell.tally[Verdict::pass])},
         {"unsupported",
          cell.tally[Verdict::unsupported] == 0 ? Data(false) : number(cell.tally[Verdict::unsupported])}});
}

void set_matrix(Data& page, const RunResult& run, const Matrix& matrix) {
    auto clients = list();
    for (const auto& span : spans_of(matrix.clients)) {
        const auto& seat = matrix.clients[span.first];
        clients << object({{"name", text(seat.peer.name)},
                           {"version", text(version_or_nothing(run, "client", seat))},
                           {"span", Data(std::to_string(span.length))},
                           {"missing", Data(!seat.installed)}});
    }
    auto variants = list();
    for (const auto& seat : matrix.clients) {
        variants << object({{"name", text(seat.installed ? seat.peer.variant : "–")}});
    }
    auto rows = list();
    for (const auto& span : spans_of(matrix.servers)) {
        for (std::size_t s = span.first; s < span.first + span.length; ++s) {
            const auto& seat = matrix.servers[s];
            Data head(false);
            if (s == span.first) {
                head = object({{"name", text(seat.peer.name)},
                               {"version", text(version_or_nothing(run, "server", seat))},
                               {"span", Data(std::to_string(span.length))}});
            }
            auto cells = list();
            for (std::size_t c = 0; c < matrix.clients.size(); ++c) {
                cells << matrix_cell(matrix, s, c);
            }
            rows << object({{"head", head},
                            {"variant", text(seat.installed ? seat.peer.variant : "–")},
                            {"cells", std::move(cells)}});
        }
    }
    page.set("matrix-shown", Data(!matrix.servers.empty() && !matrix.clients.empty()));
    page.set("clients", clients);
    page.set("client-variants", variants);
    page.set("rows", rows);
}

/// Where on the page the cases of a case's pair are.
std::map<const CaseResult*, std::string> anchors_of(const Matrix& matrix) {
    std::map<const CaseResult*, std::string> anchors;
    for (std::size_t s = 0; s < matrix.servers.size(); ++s) {
        for (std::size_t c = 0; c < matrix.clients.size(); ++c) {
            for (const auto* result : matrix.cells[s][c].cases) {
                anchors.emplace(result, pair_anchor(s, c));
            }
        }
    }
    return anchors;
}

Data problem_row(const RunResult& run, const Problem& problem, const std::string& anchor) {
    const auto* deviation = find_deviation(run, problem.deviation);
    const auto* requirement = find_requirement(run, problem.requirement);
    const bool undecided = problem.party == Party::undecided || problem.party == Party::none;
    const auto with =
        problem.counterparts.empty()
            ? std::string{}
            : counted(problem.counterparts.size(), problem.party == Party::server ? "client" : "server");
    // What the search box has to hold to find these cases again.
    const auto search = problem.deviation.empty() ? problem.requirement : problem.deviation;
    const bool link = deviation != nullptr &&
                      (deviation->link.starts_with("https://") || deviation->link.starts_with("http://"));
    return object({{"class", Data(css_class(problem.verdict))},
                   {"symbol", text(symbol(problem.verdict))},
                   {"verdict", Data(name(problem.verdict))},
                   {"peer", text(problem.peer)},
                   {"version", text(problem.version)},
                   {"role", undecided ? Data("undecided") : Data(name(problem.party))},
                   {"message", text(problem.message, most_characters_of_message)},
                   {"with", maybe(with)},
                   {"requirement", maybe(problem.requirement)},
                   {"level", maybe(requirement == nullptr ? "" : requirement->level)},
                   {"statement", maybe(requirement == nullptr ? "" : requirement->text)},
                   {"section", maybe(requirement == nullptr ? "" : requirement->section)},
                   {"deviation", maybe(problem.deviation)},
                   {"deviation-reason", maybe(deviation == nullptr ? "" : deviation->reason)},
                   {"deviation-versions", maybe(deviation == nullptr ? "" : deviation->versions)},
                   {"deviation-link", link ? text(deviation->link) : Data(false)},
                   {"cases", number(problem.cases.size())},
                   {"find", maybe(search.empty() || undecided ? search : problem.peer + " " + search)},
                   {"example", text(problem.cases.front()->id)},
                   {"example-anchor", Data(anchor)}});
}

void set_problems(Data& page, const RunResult& run, const Matrix& matrix) {
    auto unlisted = list();
    auto listed = list();
    const auto anchors = anchors_of(matrix);
    for (const auto& problem : find_problems(run)) {
        auto row = problem_row(run, problem, anchors.at(problem.cases.front()));
        (problem.deviation.empty() ? unlisted : listed) << row;
    }
    page.set("has-unlisted", Data(!unlisted.is_empty_list()));
    page.set("has-listed", Data(!listed.is_empty_list()));
    page.set("unlisted", unlisted);
    page.set("listed", listed);

    auto stale = list();
    for (const auto& each : run.stale) {
        stale << object({{"id", text(each.id)}, {"peer", text(each.peer)}, {"why", text(each.reason)}});
    }
    page.set("has-stale", Data(!run.stale.empty()));
    page.set("stale", stale);
}

void set_observations(Data& page, const RunResult& run) {
    const auto all = find_observations(run);
    auto scenarios = list();
    for (const auto& scenario : all) {
        auto servers = list();
        for (const auto& server : scenario.servers) {
            servers << object({{"name", text(server)}, {"version", text(version_of(run, "server", server))}});
        }
        auto questions = list();
        for (const auto& question : scenario.questions) {
            auto columns = list();
            for (const auto& answers : question.answers) {
                auto items = list();
                for (const auto& answer : answers) {
                    items << object(
                        {{"answer", text(answer.text, 160)}, {"qualifier", maybe(answer.qualifier)}});
                }
                columns << object({{"answers", items}, {"differ", Data(answers.size() > 1)}});
            }
            questions << object({{"question", text(question.text)}, {"columns", columns}});
        }
        scenarios << object({{"scenario", text(scenario.scenario)},
                             {"title", text(scenario.title.empty() ? scenario.scenario : scenario.title)},
                             {"servers", servers},
                             {"questions", questions}});
    }
    page.set("has-observations", Data(!all.empty()));
    page.set("observed", scenarios);
}

void set_tables(Data& page, const RunResult& run) {
    auto tables = list();
    for (const auto& table : run.tables) {
        auto columns = list();
        for (const auto& column : table.columns) {
            columns << object({{"text", text(column)}});
        }
        auto rows = list();
        for (const auto& row : table.rows) {
            auto cells = list();
            for (std::size_t i = 0; i < row.size(); ++i) {
                cells << object({{"text", text(row[i])}, {"first", Data(i == 0)}});
            }
            rows << object({{"cells", cells}});
        }
        tables << object({{"title", text(table.title)},
                          {"about", maybe(table.about)},
                          {"columns", columns},
                          {"rows", rows}});
    }
    page.set("has-tables", Data(!run.tables.empty()));
    page.set("tables", tables);
}

void set_scenarios(Data& page, const RunResult& run) {
    struct Entry {
        const CaseResult* first;
        Tally tally;
    };
    std::vector<Entry> entries;
    std::map<std::string_view, std::size_t> index;
    for (const auto& result : run.cases) {
        const auto [at, is_new] = index.emplace(result.scenario, entries.size());
        if (is_new) {
            entries.push_back({&result, {}});
        }
        entries[at->second].tally.add(result);
    }
    auto scenarios = list();
    for (const auto& entry : entries) {
        scenarios << object({{"id", text(entry.first->scenario)},
                             {"title", text(entry.first->title)},
                             {"group", text(entry.first->group)},
                             {"spoken", text(spoken(entry.tally))},
                             {"counts", counts(entry.tally)}});
    }
    page.set("has-scenarios", Data(!entries.empty()));
    page.set("scenarios", scenarios);
}

void set_unsupported(Data& page, const RunResult& run) {
    const auto all = find_unsupported(run);
    auto rows = list();
    for (const auto& each : all) {
        rows << object({{"peer", text(each.peer.empty() ? "–" : each.peer)},
                        {"reason", text(each.reason.empty() ? "no reason given" : each.reason,
                                        most_characters_of_message)},
                        {"scenarios", number(each.scenarios.size())},
                        {"cases", number(each.cases)}});
    }
    page.set("has-unsupported", Data(!all.empty()));
    page.set("unsupported-reasons", rows);
}

void set_peers(Data& page, const RunResult& run) {
    auto peers = list();
    for (const auto& peer : run.peers) {
        auto variants = list();
        for (const auto& variant : peer.variants) {
            variants << object({{"name", text(variant)}});
        }
        peers << object({{"name", text(peer.name)},
                         {"title", maybe(peer.title == peer.name ? "" : peer.title)},
                         {"role", text(peer.role)},
                         {"version", peer.version ? text(*peer.version) : Data(false)},
                         {"variants", variants}});
    }
    page.set("has-peers", Data(!run.peers.empty()));
    page.set("peers", peers);
    auto facts = list();
    for (const auto& [key, value] : run.properties) {
        facts << object({{"key", text(key)}, {"value", text(value)}});
    }
    page.set("facts", facts);
}

void set_header(Data& page, const RunResult& run) {
    const auto sum = tally(run);
    page.set("suite", text(run.suite));
    page.set("started", text(day_and_time(run.started)));
    page.set("duration", Data(fmt::format("{:.1f}", std::max(run.seconds, 0.0))));
    page.set("total", Data(counted(sum.total(), "case")));
    page.set("any-cases", Data(sum.total() > 0));
    page.set("totals", counts(sum));
    page.set("totals-spoken", text(spoken(sum)));
    page.set("known-total", sum.known() == 0 ? Data(false) : number(sum.known()));
    page.set("unlisted-total", sum.unlisted() == 0 ? Data(false) : number(sum.unlisted()));
}

} // namespace

std::string to_html(const RunResult& run) {
    const auto matrix = make_matrix(run);
    Data page(Data::type::object);
    page.set("css", Data(std::string(templates::page_css)));
    page.set("js", Data(std::string(templates::page_js)));
    set_header(page, run);
    set_matrix(page, run, matrix);
    set_problems(page, run, matrix);
    set_tables(page, run);
    set_observations(page, run);
    set_scenarios(page, run);
    set_unsupported(page, run);
    set_peers(page, run);
    page.set("list", case_list(matrix));
    kainjow::mustache::mustache page_template{std::string(templates::page_mustache)};
    auto out = page_template.render(page);
    if (!page_template.is_valid()) {
        throw std::logic_error("the template of the web page is broken: " + page_template.error_message());
    }
    return out;
}

} // namespace reports
