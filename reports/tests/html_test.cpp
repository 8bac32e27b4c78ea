#include "reports/aggregate.hpp"
#include "reports/html.hpp"
#include "reports/templates.hpp"
#include "reports/tests/sample.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::size_t count_of(const std::string& text, std::string_view what) {
    std::size_t count = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) {
        ++count;
    }
    return count;
}

/// What stands between the quotes of each such attribute.
std::vector<std::string> values_of(const std::string& html, const std::string& attribute) {
    std::vector<std::string> out;
    const auto start = " " + attribute + "=\"";
    for (auto at = html.find(start); at != std::string::npos; at = html.find(start, at)) {
        at += start.size();
        out.push_back(html.substr(at, html.find('"', at) - at));
    }
    return out;
}

/// The page without its style sheet and script, which are ours and hold no text of a run.
std::string body_of(std::string html) {
    for (const auto& own : {templates::page_css, templates::page_js}) {
        const auto at = html.find(own);
        EXPECT_NE(at, std::string::npos);
        html.erase(at, own.size());
    }
    return html;
}

/// Walks over all tags and says which is not closed properly; empty if none.
std::string unbalanced(const std::string& html) {
    static const std::set<std::string, std::less<>> without_end{"meta", "input", "br"};
    std::vector<std::string> open;
    for (auto at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
        if (html[at + 1] == '!') {
            continue;
        }
        const bool closes = html[at + 1] == '/';
        const auto begin = at + (closes ? 2 : 1);
        const auto name = html.substr(begin, html.find_first_of(" >", begin) - begin);
        if (closes) {
            if (open.empty() || open.back() != name) {
                return "</" + name + "> at " + std::to_string(at) + " closes " +
                       (open.empty() ? "nothing" : open.back());
            }
            open.pop_back();
        } else if (!without_end.contains(name)) {
            open.push_back(name);
        }
    }
    return open.empty() ? "" : open.back() + " stays open";
}

class Page : public testing::TestWithParam<RunResult (*)()> {};

TEST_P(Page, is_well_formed_and_self_contained) {
    const auto run = GetParam()();
    const auto html = to_html(run);
    const auto body = body_of(html);
    EXPECT_EQ(unbalanced(body), "");
    EXPECT_EQ(valid_utf8(html), html);
    EXPECT_THAT(body, Not(HasSubstr("{{"))) << "a tag of the template was left over";
    EXPECT_THAT(values_of(html, "src"), IsEmpty());
    EXPECT_EQ(count_of(html, "<link"), 0U);
    EXPECT_EQ(count_of(html, "<script"), 1U);
    EXPECT_THAT(html, Not(HasSubstr("@import")));
    EXPECT_THAT(html, Not(HasSubstr("url(")));
}

TEST_P(Page, links_within_itself_lead_somewhere) {
    const auto html = to_html(GetParam()());
    const auto ids = values_of(html, "id");
    const std::set<std::string> known(ids.begin(), ids.end());
    EXPECT_EQ(known.size(), ids.size()) << "an id is there twice";
    for (const auto& href : values_of(html, "href")) {
        if (href.starts_with("#")) {
            EXPECT_TRUE(known.contains(href.substr(1))) << href;
        }
    }
}

// The text of hostile_run has "{{" in it, which has to be shown as it is; hence it is not among these.
INSTANTIATE_TEST_SUITE_P(Runs, Page,
                         testing::Values(
                             &sample::small_run, &sample::large_run, +[] { return RunResult{}; },
                             +[] {
                                 auto run = sample::small_run();
                                 run.cases.clear();
                                 return run;
                             }));

TEST(Html, text_of_peers_is_no_markup) {
    const auto html = to_html(sample::hostile_run());
    const auto body = body_of(html);
    EXPECT_EQ(unbalanced(body), "");
    EXPECT_EQ(valid_utf8(html), html);
    EXPECT_EQ(count_of(html, "<script"), 1U);
    EXPECT_EQ(count_of(html, "</script"), 1U);
    EXPECT_THAT(body, Not(HasSubstr("<!-- ")));
    EXPECT_THAT(body, AllOf(HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)"), HasSubstr("{{css}}")));
    EXPECT_THAT(body, Not(testing::ContainsRegex("[\x01-\x08\x0b\x0c\x0e-\x1f]")));
    for (const auto& href : values_of(html, "href")) {
        EXPECT_THAT(href, Not(HasSubstr(":"))) << "only plain relative paths are linked to";
    }
    EXPECT_LT(html.size(), 300'000U) << "a message of megabytes has to be cut";
}

TEST(Html, every_case_is_listed_with_its_folder) {
    const auto run = sample::large_run();
    const auto html = to_html(run);
    const auto hrefs = values_of(html, "href");
    const std::set<std::string> linked(hrefs.begin(), hrefs.end());
    for (const auto& result : run.cases) {
        EXPECT_TRUE(linked.contains(href(result.folder))) << result.id;
    }
    EXPECT_EQ(count_of(html, "<li"), run.cases.size() + 9) << "and nine entries of the page's navigation";
}

TEST(Html, stays_small_for_a_whole_matrix) {
    EXPECT_LT(to_html(sample::large_run()).size(), 5'000'000U);
}

TEST(Html, a_cell_says_what_its_cases_came_to) {
    const auto html = to_html(sample::small_run());
    EXPECT_THAT(
        html,
        HasSubstr("<td class=\"c-fail\"><a href=\"#p0-0\" title=\"nbdkit with libnbd: 1 failed, 1 passed\""));
    EXPECT_THAT(
        html,
        HasSubstr("<td class=\"c-known\"><a href=\"#p2-0\" title=\"qemu-nbd with libnbd: 1 warned, 1 passed "
                  "(1 known)\""));
    EXPECT_THAT(
        html,
        HasSubstr("<td class=\"c-pass\"><a href=\"#p1-0\" title=\"nbdkit+no-sr with libnbd: 1 passed\""));
    EXPECT_THAT(html, HasSubstr("<td class=\"c-empty\">"));
    EXPECT_THAT(html, HasSubstr("not installed"));
}

TEST(Html, a_cell_counts_what_its_list_holds) {
    const auto run = sample::large_run();
    const auto html = to_html(run);
    const auto matrix = make_matrix(run);
    for (std::size_t s = 0; s < matrix.servers.size(); ++s) {
        for (std::size_t c = 0; c < matrix.clients.size(); ++c) {
            if (matrix.cells[s][c].cases.empty()) {
                continue;
            }
            const auto start = html.find(fmt::format("id=\"p{}-{}\"", s, c));
            ASSERT_NE(start, std::string::npos);
            const auto list = html.substr(start, html.find("</details>", start) - start);
            EXPECT_EQ(count_of(list, "<li"), matrix.cells[s][c].cases.size());
        }
    }
}

TEST(Html, problems_deviations_observations_and_peers_are_there) {
    const auto html = to_html(sample::small_run());
    EXPECT_THAT(html,
                AllOf(HasSubstr("<code>read-past-end-requirement</code> <small>MUST</small>"),
                      HasSubstr("A read past the end fails. (Request types)"),
                      HasSubstr("<code>qemu-write-past-end-einval</code> <small>&lt; 8.0</small>"),
                      HasSubstr("one error code for all bounds"), HasSubstr("<code>nbdkit-old-bug</code>"),
                      HasSubstr("<th scope=\"row\">read at the new end</th><td><div>data</div></td>"),
                      HasSubstr("qemu-io cannot list exports"), HasSubstr("<em>not installed</em>"),
                      HasSubstr("Debian GNU/Linux 12 (bookworm)")));
    EXPECT_THAT(html, HasSubstr("<a class=\"tile alarm\" href=\"#problems\"><b>4</b>"));
}

TEST(Html, links_of_deviations_are_web_addresses_only) {
    auto run = sample::small_run();
    run.deviations[0].link = "javascript:alert(1)";
    EXPECT_THAT(to_html(run), Not(HasSubstr("javascript:")));
    run.deviations[0].link = "https://example.org/?a=1&b=\"2\"";
    EXPECT_THAT(to_html(run), HasSubstr("<a href=\"https://example.org/?a=1&amp;b=&quot;2&quot;\">"));
}

TEST(Html, says_so_if_there_is_no_problem) {
    RunResult run;
    run.cases = {sample::passed("s", "c", "x")};
    EXPECT_THAT(to_html(run), AllOf(HasSubstr("None: everything"), HasSubstr("None was seen."),
                                    Not(HasSubstr("tile alarm\""))));
}

} // namespace
} // namespace reports
