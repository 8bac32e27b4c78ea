#include "harness/cli/exit_code.hpp"
#include "harness/run/deviations.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using namespace testing_support;
using reports::CaseResult;
using reports::Finding;
using reports::Party;
using reports::Verdict;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Versions versions{{{"server", "qemu-nbd"}, "7.2.22"}, {{"client", "libnbd"}, "1.14.2"}};

/// qemu-nbd < 8 breaks WRITE-PAST-END.
Deviation listed() {
    Deviation deviation;
    deviation.id = "D";
    deviation.role = "server";
    deviation.peers = {"qemu-nbd"};
    deviation.versions = VersionRange::parse("< 8.0");
    deviation.rule = "WRITE-PAST-END";
    deviation.verdict = "warn";
    deviation.scenarios = {"write-*"};
    deviation.reason = "It was ever thus.";
    return deviation;
}

/// The case that shows it.
CaseResult shown() {
    CaseResult item;
    item.id = "qemu-nbd/libnbd/write-past-end";
    item.scenario = "write-past-end";
    item.server = {"qemu-nbd", "default"};
    item.client = {"libnbd", "default"};
    item.verdict = Verdict::warn;
    item.party = Party::server;
    item.findings = {{Verdict::warn, Party::server, "WRITE-PAST-END", "3: write", "EINVAL", ""}};
    return item;
}

struct Marking {
    const char* name;
    void (*change)(Deviation&, CaseResult&);
    bool marked;
};

class DeviationMarks : public ::testing::TestWithParam<Marking> {};

TEST_P(DeviationMarks, FollowWhatIsListed) {
    Deviation deviation = listed();
    std::vector<CaseResult> cases{shown()};
    GetParam().change(deviation, cases[0]);
    mark_deviations({deviation}, versions, cases);
    EXPECT_EQ(cases[0].findings[0].deviation, GetParam().marked ? "D" : "");
    EXPECT_EQ(cases[0].known_deviation(), GetParam().marked);
}

INSTANTIATE_TEST_SUITE_P(
    Run, DeviationMarks,
    ::testing::Values(
        Marking{"as listed", [](Deviation&, CaseResult&) {}, true},
        Marking{"other version",
                [](Deviation& d, CaseResult&) { d.versions = VersionRange::parse(">= 8.0"); }, false},
        Marking{"peer with its variants", [](Deviation&, CaseResult& c) { c.server.variant = "qcow2"; },
                true},
        Marking{"other variant", [](Deviation& d, CaseResult&) { d.peers = {"qemu-nbd+qcow2"}; }, false},
        Marking{"that variant",
                [](Deviation& d, CaseResult& c) {
                    d.peers = {"qemu-nbd+qcow2"};
                    c.server.variant = "qcow2";
                },
                true},
        Marking{"one of several peers",
                [](Deviation& d, CaseResult&) {
                    d.peers = {"nbdkit", "qemu-*"};
                },
                true},
        Marking{"other peer", [](Deviation& d, CaseResult&) { d.peers = {"nbdkit"}; }, false},
        Marking{"other scenario", [](Deviation&, CaseResult& c) { c.scenario = "zero-past-end"; }, false},
        Marking{"other rule", [](Deviation& d, CaseResult&) { d.rule = "ZEROES-PAST-END"; }, false},
        Marking{"worse verdict",
                [](Deviation&, CaseResult& c) { c.findings[0].verdict = c.verdict = Verdict::fail; }, false},
        Marking{"the other side's fault",
                [](Deviation&, CaseResult& c) { c.findings[0].party = Party::client; }, false},
        Marking{"undecided fault", [](Deviation&, CaseResult& c) { c.findings[0].party = Party::undecided; },
                true},
        Marking{"with this client", [](Deviation& d, CaseResult&) { d.others = {"libnbd"}; }, true},
        Marking{"with another client", [](Deviation& d, CaseResult&) { d.others = {"qemu-io"}; }, false},
        Marking{"a client's",
                [](Deviation& d, CaseResult& c) {
                    d.role = "client";
                    d.peers = {"libnbd"};
                    d.versions = VersionRange::parse("= 1.14.2");
                    d.others = {"qemu-nbd"};
                    c.findings[0].party = Party::client;
                },
                true},
        Marking{"a peer without version", [](Deviation&, CaseResult& c) { c.server.name = "qemu-nbd-next"; },
                false},
        Marking{"a crash",
                [](Deviation& d, CaseResult& c) {
                    d.rule = "";
                    d.verdict = "crash";
                    c.verdict = Verdict::crash;
                    c.findings[0] = {Verdict::crash, Party::server, "", "3: write", "killed by SIGSEGV", ""};
                },
                true},
        Marking{"a time-out that is listed as a crash",
                [](Deviation& d, CaseResult& c) {
                    d.rule = "";
                    d.verdict = "crash";
                    c.verdict = Verdict::timeout;
                    c.findings[0] = {Verdict::timeout, Party::server, "", "3: write", "did not end", ""};
                },
                false}),
    by_name);

TEST(Deviations, ACaseIsKnownOnlyIfAllItsFindingsAre) {
    std::vector<CaseResult> cases{shown()};
    cases[0].findings.push_back({Verdict::fail, Party::server, "READ-DATA", "5: read", "other bytes", ""});
    cases[0].verdict = Verdict::fail;
    mark_deviations({listed()}, versions, cases);
    EXPECT_EQ(cases[0].findings[0].deviation, "D");
    EXPECT_EQ(cases[0].findings[1].deviation, "");
    EXPECT_FALSE(cases[0].known_deviation());
}

TEST(Deviations, TheFirstThatFitsIsNamed) {
    Deviation second = listed();
    second.id = "E";
    std::vector<CaseResult> cases{shown()};
    mark_deviations({listed(), second}, versions, cases);
    EXPECT_EQ(cases[0].findings[0].deviation, "D");
}

struct Staleness {
    const char* name;
    void (*change)(Deviation&, CaseResult&);
    bool stale;
};

class StaleDeviations : public ::testing::TestWithParam<Staleness> {};

TEST_P(StaleDeviations, AreThoseThatCouldHaveShown) {
    Deviation deviation = listed();
    std::vector<CaseResult> cases{shown()};
    cases[0].verdict = Verdict::pass;
    cases[0].party = Party::none;
    cases[0].findings.clear();
    GetParam().change(deviation, cases[0]);
    mark_deviations({deviation}, versions, cases);
    const auto stale = stale_deviations({deviation}, versions, cases);
    ASSERT_EQ(!stale.empty(), GetParam().stale);
    if (GetParam().stale) {
        EXPECT_EQ(stale[0].id, "D");
        EXPECT_EQ(stale[0].peer, "qemu-nbd");
        EXPECT_EQ(stale[0].reason, "It was ever thus.");
    }
}

INSTANTIATE_TEST_SUITE_P(
    Run, StaleDeviations,
    ::testing::Values(
        Staleness{"the case passed", [](Deviation&, CaseResult&) {}, true},
        Staleness{"it was seen", [](Deviation&, CaseResult& c) { c = shown(); }, false},
        Staleness{"something else was seen",
                  [](Deviation&, CaseResult& c) {
                      c = shown();
                      c.findings[0].requirement = "READ-DATA";
                  },
                  true},
        Staleness{"the case was unsupported",
                  [](Deviation&, CaseResult& c) { c.verdict = Verdict::unsupported; }, false},
        Staleness{"the case was an error of the harness",
                  [](Deviation&, CaseResult& c) { c.verdict = Verdict::error; }, false},
        Staleness{"another version is here",
                  [](Deviation& d, CaseResult&) { d.versions = VersionRange::parse("> 8"); }, false},
        Staleness{"another scenario was run", [](Deviation&, CaseResult& c) { c.scenario = "read-past-end"; },
                  false},
        Staleness{"another peer took part", [](Deviation& d, CaseResult&) { d.peers = {"nbdkit"}; }, false},
        Staleness{"another client took part", [](Deviation& d, CaseResult&) { d.others = {"qemu-io"}; },
                  false}),
    by_name);

TEST(Deviations, OneCaseThatShowsItIsEnough) {
    std::vector<CaseResult> cases{shown(), shown()};
    cases[1].id = "qemu-nbd/libnbd/write-zero";
    cases[1].verdict = Verdict::pass;
    cases[1].findings.clear();
    mark_deviations({listed()}, versions, cases);
    EXPECT_THAT(stale_deviations({listed()}, versions, cases), IsEmpty());
}

/// A run of cases with those verdicts.
reports::RunResult run_of(const std::vector<Verdict>& verdicts, const std::string& deviation = "") {
    reports::RunResult run;
    for (const Verdict verdict : verdicts) {
        CaseResult item;
        item.verdict = verdict;
        if (verdict != Verdict::pass && verdict != Verdict::unsupported && verdict != Verdict::error) {
            item.findings = {{verdict, Party::server, "R", "1", "", deviation}};
        }
        run.cases.push_back(item);
    }
    return run;
}

TEST(ExitCodes, FollowTheHelp) {
    EXPECT_EQ(exit_code(run_of({Verdict::pass})), exit_ok);
    EXPECT_EQ(exit_code(run_of({Verdict::pass, Verdict::unsupported})), exit_ok);
    for (const Verdict red : {Verdict::fail, Verdict::warn, Verdict::timeout, Verdict::crash}) {
        EXPECT_EQ(exit_code(run_of({Verdict::pass, red})), exit_red) << reports::name(red);
        EXPECT_EQ(exit_code(run_of({Verdict::pass, red}, "D")), exit_ok)
            << reports::name(red) << " is listed";
    }
    EXPECT_EQ(exit_code(run_of({Verdict::pass, Verdict::error})), exit_red);
    EXPECT_EQ(exit_code(run_of({Verdict::error}, "D")), exit_red);
    EXPECT_EQ(exit_code(run_of({})), exit_nothing);
    EXPECT_EQ(exit_code(run_of({Verdict::unsupported, Verdict::unsupported})), exit_nothing);
    reports::RunResult stale = run_of({Verdict::pass});
    stale.stale.push_back({"D", "qemu-nbd", "fixed?"});
    EXPECT_EQ(exit_code(stale), exit_red);
}

} // namespace
} // namespace harness
