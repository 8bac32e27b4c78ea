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

} // namespace
} // namespace reports
