#include "reports/aggregate.hpp"
#include "reports/tests/sample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reports {
namespace {

using sample::broken;
using sample::passed;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> labels(const std::vector<Seat>& seats) {
    std::vector<std::string> out;
    for (const auto& seat : seats) {
        out.push_back(label(seat.peer) + (seat.installed ? "" : " missing"));
    }
    return out;
}

TEST(Tally, counts_by_verdict_and_by_being_listed) {
    const auto counts = tally(sample::small_run());
    EXPECT_EQ(counts.total(), 9U);
    EXPECT_EQ(counts[Verdict::pass], 3U);
    EXPECT_EQ(counts[Verdict::fail], 1U);
    EXPECT_EQ(counts[Verdict::warn], 1U);
    EXPECT_EQ(counts[Verdict::unsupported], 1U);
    EXPECT_EQ(counts.executed(), 8U);
    EXPECT_EQ(counts.known(), 1U);
    EXPECT_EQ(counts.unlisted(), 4U);
}

TEST(Matrix, keeps_the_order_of_the_catalogue_and_shows_missing_peers) {
    auto run = sample::small_run();
    auto other = passed("alien", "libnbd", "x");
    run.cases.push_back(other);
    auto variant = passed("nbdkit", "libnbd", "y");
    variant.server.variant = "not-in-the-catalogue";
    run.cases.push_back(variant);
    const auto matrix = make_matrix(run);
    EXPECT_THAT(labels(matrix.servers), ElementsAre("nbdkit", "nbdkit+no-sr", "nbdkit+not-in-the-catalogue",
                                                    "qemu-nbd", "nbd-server missing", "alien"));
    EXPECT_THAT(labels(matrix.clients), ElementsAre("libnbd", "qemu-io"));
}

TEST(Matrix, puts_every_case_into_one_cell) {
    const auto run = sample::large_run();
    const auto matrix = make_matrix(run);
    EXPECT_EQ(matrix.servers.size(), 16U);
    EXPECT_EQ(matrix.clients.size(), 15U) << "14 and one that is not installed";
    std::size_t cases = 0;
    for (std::size_t s = 0; s < matrix.servers.size(); ++s) {
        for (std::size_t c = 0; c < matrix.clients.size(); ++c) {
            for (const auto* result : matrix.cells[s][c].cases) {
                EXPECT_EQ(result->server, matrix.servers[s].peer);
                EXPECT_EQ(result->client, matrix.clients[c].peer);
                ++cases;
            }
        }
    }
    EXPECT_EQ(cases, run.cases.size());
}

TEST(Problems, of_the_same_requirement_and_peer_are_one) {
    RunResult run;
    run.cases = {broken(Verdict::fail, "s", "c1", "x"), broken(Verdict::fail, "s", "c2", "x"),
                 broken(Verdict::fail, "t", "c1", "x"), broken(Verdict::warn, "s", "c1", "x")};
    run.cases[1].findings[0].message = "other words";
    const auto problems = find_problems(run);
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_EQ(problems[0].peer, "s");
    EXPECT_EQ(problems[0].cases.size(), 2U);
    EXPECT_THAT(problems[0].counterparts, ElementsAre("c1", "c2"));
    EXPECT_EQ(problems[1].peer, "t");
    EXPECT_EQ(problems[2].verdict, Verdict::warn);
}

TEST(Problems, that_are_not_listed_come_first_and_worst_first) {
    RunResult run;
    run.cases = {broken(Verdict::crash, "s", "c", "a", "listed"), broken(Verdict::warn, "s", "c", "b"),
                 broken(Verdict::fail, "s", "c", "d"), broken(Verdict::timeout, "s", "c", "e")};
    std::vector<Verdict> order;
    for (const auto& problem : find_problems(run)) {
        order.push_back(problem.verdict);
    }
    EXPECT_THAT(order, ElementsAre(Verdict::timeout, Verdict::fail, Verdict::warn, Verdict::crash));
}

TEST(Problems, without_findings_are_made_of_the_reason) {
    RunResult run;
    run.cases = {broken(Verdict::crash, "s", "c", "x")};
    run.cases[0].findings.clear();
    run.cases[0].party = Party::undecided;
    run.peers = {{"s", "server", "", "1.2", {}}, {"c", "client", "", "3.4", {}}};
    const auto problems = find_problems(run);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].who, "s 1.2 × c 3.4");
    EXPECT_EQ(problems[0].message, run.cases[0].reason);
}

TEST(Problems, two_findings_of_one_case_count_it_once) {
    RunResult run;
    run.cases = {broken(Verdict::fail, "s", "c", "x")};
    run.cases[0].findings.push_back(run.cases[0].findings[0]);
    const auto problems = find_problems(run);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].cases.size(), 1U);
}

TEST(Unsupported, is_grouped_by_peer_and_reason) {
    RunResult run;
    for (const auto* client : {"c1", "c2", "c2"}) {
        auto result = passed("s", client, "x");
        result.verdict = Verdict::unsupported;
        result.party = Party::client;
        result.reason = "cannot";
        run.cases.push_back(result);
    }
    const auto groups = find_unsupported(run);
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].peer, "c2");
    EXPECT_EQ(groups[0].cases, 2U);
    EXPECT_EQ(groups[1].peer, "c1");
}

CaseResult observing(const PeerId& server, const std::string& client, const std::string& answer) {
    auto out = passed(server.name, client, "backing-grew");
    out.server = server;
    out.observations = {{"read at the new end", answer}};
    return out;
}

struct AnswerCase {
    const char* what;
    std::vector<CaseResult> cases;
    std::vector<std::string> expected; ///< "answer|qualifier"
};

class Answers : public testing::TestWithParam<AnswerCase> {};

TEST_P(Answers, say_who_gave_the_exceptions) {
    RunResult run;
    run.cases = GetParam().cases;
    const auto observed = find_observations(run);
    ASSERT_EQ(observed.size(), 1U);
    EXPECT_THAT(observed[0].servers, ElementsAre("s"));
    std::vector<std::string> got;
    for (const auto& answer : observed[0].questions.at(0).answers.at(0)) {
        got.push_back(answer.text + "|" + answer.qualifier);
    }
    EXPECT_EQ(got, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Answers,
    testing::Values(AnswerCase{"all_agree",
                               {observing({"s", "a"}, "c", "EIO"), observing({"s", "b"}, "c", "EIO")},
                               {"EIO|"}},
                    AnswerCase{"by_variant",
                               {observing({"s", "a"}, "c", "EIO"), observing({"s", "a"}, "d", "EIO"),
                                observing({"s", "b"}, "c", "0")},
                               {"EIO|", "0|b"}},
                    AnswerCase{"by_variant_without_majority",
                               {observing({"s", "a"}, "c", "EIO"), observing({"s", "b"}, "c", "0")},
                               {"0|b", "EIO|a"}},
                    AnswerCase{"by_client",
                               {observing({"s", "a"}, "c", "EIO"), observing({"s", "a"}, "d", "0"),
                                observing({"s", "b"}, "c", "EIO"), observing({"s", "b"}, "d", "0"),
                                observing({"s", "b"}, "e", "EIO")},
                               {"EIO|", "0|with d"}},
                    AnswerCase{"neither",
                               {observing({"s", "a"}, "c", "EIO"), observing({"s", "a"}, "c", "0"),
                                observing({"s", "a"}, "c", "EIO")},
                               {"EIO|2 of 3 cases", "0|1 of 3 cases"}}),
    [](const auto& tested) { return tested.param.what; });

TEST(Observations, of_no_case_are_none) {
    EXPECT_THAT(find_observations(RunResult{}), IsEmpty());
}

} // namespace
} // namespace reports
