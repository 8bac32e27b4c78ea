#include "reports/aggregate.hpp"
#include "reports/markdown.hpp"
#include "reports/tests/sample.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

/// How many cells a line of a table has: pipes that are not escaped, less one.
std::size_t cells_in(const std::string& line) {
    std::size_t pipes = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\') {
            ++i;
        } else if (line[i] == '|') {
            ++pipes;
        }
    }
    return pipes - 1;
}

/// The part under a heading.
std::string section(const std::string& text, const std::string& heading) {
    const auto start = text.find("\n## " + heading + "\n");
    if (start == std::string::npos) {
        return "";
    }
    return text.substr(start, text.find("\n## ", start + 1) - start);
}

class Tables : public testing::TestWithParam<RunResult (*)()> {};

TEST_P(Tables, have_equally_long_rows) {
    std::size_t width = 0;
    for (const auto& line : lines_of(to_markdown(GetParam()()))) {
        if (!line.starts_with("|")) {
            width = 0;
            continue;
        }
        width = width == 0 ? cells_in(line) : width;
        EXPECT_EQ(cells_in(line), width) << line;
        EXPECT_TRUE(line.ends_with(" |")) << line;
    }
}

INSTANTIATE_TEST_SUITE_P(Runs, Tables,
                         testing::Values(
                             &sample::small_run, &sample::large_run, &sample::hostile_run,
                             +[] { return RunResult{}; }));

TEST(Markdown, the_matrix_counts_every_verdict_and_marks_what_is_not_listed) {
    const auto matrix = section(to_markdown(sample::small_run()), "Matrix");
    EXPECT_THAT(matrix, HasSubstr("| Server \\ client | libnbd | qemu-io |\n"));
    EXPECT_THAT(matrix, HasSubstr("| nbdkit | 1 ✓ **1 ✗** | **1 ◷** 1 – |\n"));
    EXPECT_THAT(matrix, HasSubstr("| nbdkit no-sr | 1 ✓ |  |\n"));
    EXPECT_THAT(matrix, HasSubstr("| qemu-nbd | 1 ✓ 1 ⚠ | **1 ☠** **1 ‼** |\n"));
    EXPECT_THAT(matrix, HasSubstr("| nbd-server *not installed* |  |  |\n"));
}

TEST(Markdown, peers_have_their_versions) {
    const auto peers = section(to_markdown(sample::small_run()), "Peers");
    EXPECT_THAT(peers, HasSubstr("| server | nbdkit | 1.32.5 | `no-sr` |"));
    EXPECT_THAT(peers, HasSubstr("| server | nbd-server | *not installed* |  |"));
}

TEST(Markdown, unlisted_problems_are_apart_from_known_deviations) {
    const auto text = to_markdown(sample::small_run());
    const auto unlisted = section(text, "Problems that are not listed");
    EXPECT_THAT(unlisted,
                HasSubstr("| ✗ fail | nbdkit 1.32.5 | expected EINVAL, got EIO *(with 1 client)* | "
                          "`read-past-end-requirement` (MUST) | 1 | `nbdkit/libnbd/read-past-end` |"));
    EXPECT_THAT(unlisted, Not(HasSubstr("qemu-write-past-end-einval")));
    const auto known = section(text, "Known deviations");
    EXPECT_THAT(known, AllOf(HasSubstr("| ⚠ warn | qemu-nbd 7.2.22 |"),
                             HasSubstr("`qemu-write-past-end-einval`: one error code for all bounds")));
    EXPECT_THAT(known, Not(HasSubstr("read-past-end-requirement")));
    EXPECT_THAT(section(text, "Stale deviations"),
                HasSubstr("| `nbdkit-old-bug` | nbdkit | zeroes were not zero |"));
}

TEST(Markdown, observations_compare_servers) {
    const auto text = section(to_markdown(sample::small_run()), "Observations");
    EXPECT_THAT(text, HasSubstr("| Question | nbdkit | qemu-nbd |\n"));
    EXPECT_THAT(text, HasSubstr("| read at the new end | data | EINVAL |\n"));
}

TEST(Markdown, unsupported_reasons_are_counted) {
    EXPECT_THAT(section(to_markdown(sample::small_run()), "Unsupported"),
                HasSubstr("| qemu-io | qemu-io cannot list exports | 1 | 1 |\n"));
    auto run = sample::small_run();
    for (int i = 0; i < 100; ++i) {
        auto result = sample::passed("nbdkit", "libnbd", fmt::format("s{}", i));
        result.verdict = Verdict::unsupported;
        result.reason = fmt::format("reason {}", i);
        run.cases.push_back(result);
    }
    EXPECT_THAT(section(to_markdown(run), "Unsupported"),
                HasSubstr("|  | … and 61 other reasons |  | 61 |\n"));
}

TEST(Markdown, totals_add_up) {
    EXPECT_THAT(to_markdown(sample::small_run()),
                HasSubstr("**9 cases**: ✓ 3 passed, ✗ 1 failed, ⚠ 1 warned, – 1 unsupported, ◷ 1 timed out, "
                          "☠ 1 crashed, ‼ 1 could not be judged.\n1 of them is listed as known deviations.\n"
                          "**4 cases with a problem that is not listed.**"));
}

TEST(Markdown, peers_text_is_no_markup) {
    const auto text = to_markdown(sample::hostile_run());
    EXPECT_THAT(text, Not(HasSubstr("<script")));
    EXPECT_THAT(text, Not(HasSubstr("<!--")));
    EXPECT_LT(text.size(), 200'000U) << "a message of megabytes is no part of a table";
}

TEST(Markdown, stays_short_for_a_whole_matrix) {
    EXPECT_LT(lines_of(to_markdown(sample::large_run())).size(), 150U);
}

TEST(Markdown, says_so_if_nothing_ran) {
    EXPECT_THAT(to_markdown(RunResult{}), AllOf(HasSubstr("**0 cases**"), HasSubstr("No case ran.")));
}

TEST(Markdown, has_the_tables_of_a_suite) {
    const auto text = section(to_markdown(sample::large_run()), "Knob by knob");
    EXPECT_THAT(text, AllOf(HasSubstr("Counts of lives."), HasSubstr("| knob | grew |"),
                            HasSubstr("| growth=auto | 3 of 4 (75 %) |")));
}

TEST(SpecMatrix, answers_each_question_in_its_order) {
    auto run = sample::large_run();
    run.questions.push_back({"And then?", {}, "Nobody knows."});
    const auto text = to_spec_matrix(run);
    EXPECT_THAT(section(text, "1. Must exposed bytes be zero?"),
                AllOf(HasSubstr("| they were | all of 7 |"), HasSubstr("More is shown elsewhere.")));
    EXPECT_THAT(section(text, "2. And then?"), HasSubstr("Nobody knows."));
}

TEST(SpecMatrix, keeps_its_shape_whatever_a_run_holds) {
    std::size_t width = 0;
    for (const auto& line : lines_of(to_spec_matrix(sample::hostile_run()))) {
        width = line.starts_with("|") ? (width == 0 ? cells_in(line) : width) : 0;
        EXPECT_EQ(width, line.starts_with("|") ? cells_in(line) : 0) << line;
    }
}

} // namespace
} // namespace reports
