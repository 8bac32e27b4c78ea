#include "reports/result.hpp"
#include "reports/tests/sample.hpp"

#include <gtest/gtest.h>

namespace reports {
namespace {

TEST(Result, verdict_names_are_read_back) {
    for (const auto verdict : all_verdicts) {
        EXPECT_EQ(parse_verdict(name(verdict)), verdict);
    }
    EXPECT_STREQ(name(Verdict::unsupported), "unsupported");
    EXPECT_EQ(parse_verdict("passed"), std::nullopt);
    EXPECT_EQ(parse_verdict(""), std::nullopt);
}

TEST(Result, party_names_are_read_back) {
    for (const auto party : all_parties) {
        EXPECT_EQ(parse_party(name(party)), party);
    }
    EXPECT_EQ(parse_party("nobody"), std::nullopt);
}

TEST(Result, a_case_whose_findings_are_all_listed_is_a_known_deviation) {
    for (const auto verdict : {Verdict::fail, Verdict::warn, Verdict::timeout, Verdict::crash}) {
        EXPECT_TRUE(sample::broken(verdict, "s", "c", "x", "listed").known_deviation()) << name(verdict);
        EXPECT_FALSE(sample::broken(verdict, "s", "c", "x").known_deviation()) << name(verdict);
    }
}

TEST(Result, one_unlisted_finding_makes_a_case_unknown) {
    auto result = sample::broken(Verdict::fail, "s", "c", "x", "listed");
    result.findings.push_back({Verdict::warn, Party::client, "r", "1", "m", ""});
    EXPECT_FALSE(result.known_deviation());
}

TEST(Result, a_problem_without_findings_is_never_known) {
    auto result = sample::broken(Verdict::crash, "s", "c", "x", "listed");
    result.findings.clear();
    EXPECT_FALSE(result.known_deviation());
}

TEST(Result, what_does_not_speak_of_a_peer_is_never_a_deviation) {
    for (const auto verdict : {Verdict::pass, Verdict::unsupported, Verdict::error}) {
        EXPECT_FALSE(sample::broken(verdict, "s", "c", "x", "listed").known_deviation()) << name(verdict);
    }
}

TEST(Result, what_several_suites_say_to_one_question_stands_together) {
    RunResult run;
    add_question(run, {"first?", {{"one", "", {}, {}}}, ""});
    add_question(run, {"second?", {}, "beyond"});
    add_question(run, {"first?", {{"two", "", {}, {}}}, "beyond this"});
    add_question(run, {"first?", {}, "another"});
    ASSERT_EQ(run.questions.size(), 2U);
    ASSERT_EQ(run.questions[0].tables.size(), 2U);
    EXPECT_EQ(run.questions[0].tables[1].title, "two");
    EXPECT_EQ(run.questions[0].beyond, "beyond this");
    EXPECT_EQ(run.questions[1].beyond, "beyond");
}

} // namespace
} // namespace reports
