#include "reports/summary.hpp"
#include "reports/tests/sample.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reports {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Summary, ends_with_the_totals) {
    EXPECT_THAT(summary(sample::small_run()), EndsWith("\n1 timeout, 1 crash, 1 error, 1 known deviation\n"
                                                       "3 passed, 1 failed, 1 warned, 1 unsupported\n"));
}

TEST(Summary, has_no_line_of_other_counts_if_they_are_zero) {
    RunResult run;
    run.cases = {sample::passed("s", "c", "x"), sample::broken(Verdict::fail, "s", "c", "y")};
    EXPECT_THAT(summary(run), EndsWith("2 cases, 1 server by 1 client (variants counted), in 0.0 s\n"
                                       "1 passed, 1 failed, 0 warned, 0 unsupported\n"));
    EXPECT_THAT(summary(RunResult{}), EndsWith("\n0 passed, 0 failed, 0 warned, 0 unsupported\n"));
}

TEST(Summary, begins_with_what_is_not_listed) {
    const auto text = summary(sample::small_run());
    EXPECT_THAT(text, StartsWith("Problems that are not listed as known deviations:\n"));
    EXPECT_THAT(text,
                HasSubstr("  fail    nbdkit 1.32.5: expected EINVAL, got EIO [read-past-end-requirement] "
                          "(nbdkit/libnbd/read-past-end)\n"));
    EXPECT_THAT(text, Not(HasSubstr("write-past-end-requirement"))) << "that one is listed";
    EXPECT_THAT(text, HasSubstr("nbdkit-old-bug (nbdkit)\n"));
    EXPECT_THAT(text, HasSubstr("Not installed: server nbd-server\n"));
}

TEST(Summary, counts_cases_of_one_problem_in_one_line) {
    RunResult run;
    run.cases = {sample::broken(Verdict::fail, "s", "c1", "x"),
                 sample::broken(Verdict::fail, "s", "c2", "x")};
    EXPECT_THAT(summary(run), HasSubstr("(2 cases, e.g. s/c1/x)\n"));
}

TEST(Summary, is_cut_after_some_lines) {
    RunResult run;
    for (int i = 0; i < 25; ++i) {
        run.cases.push_back(sample::broken(Verdict::fail, fmt::format("s{}", i), "c", "x"));
    }
    EXPECT_THAT(summary(run), HasSubstr("  ... and 5 more\n"));
    EXPECT_THAT(summary(run, {.most_problems = 25}), Not(HasSubstr("more\n")));
}

TEST(Summary, lets_no_escape_sequence_of_a_peer_through) {
    EXPECT_THAT(summary(sample::hostile_run()), Not(HasSubstr("\x1b")));
}

TEST(Summary, is_coloured_only_if_wanted) {
    EXPECT_THAT(summary(sample::small_run()), Not(HasSubstr("\x1b")));
    EXPECT_THAT(summary(sample::small_run(), {.colour = true}), HasSubstr("\x1b[1;31mfail   \x1b[0m"));
}

} // namespace
} // namespace reports
