#include "harness/run/selection.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

struct Glob {
    const char* pattern;
    const char* text;
    bool matches;
};

class Globs : public ::testing::TestWithParam<Glob> {};

TEST_P(Globs, Match) {
    EXPECT_EQ(glob_match(GetParam().pattern, GetParam().text), GetParam().matches)
        << GetParam().pattern << " on " << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Selection, Globs,
    ::testing::Values(Glob{"nbdkit", "nbdkit", true}, Glob{"nbdkit", "nbdkit2", false},
                      Glob{"nbdkit*", "nbdkit", true}, Glob{"nbdkit*", "nbdkit-nbd", true},
                      Glob{"*", "", true}, Glob{"*", "anything", true},
                      Glob{"read-*-end", "read-past-end", true}, Glob{"read-*-end", "read-past-ends", false},
                      Glob{"?bd", "nbd", true}, Glob{"?bd", "bd", false}, Glob{"*/x", "a/b/x", true},
                      Glob{".hidden", ".hidden", true}, Glob{"*hidden", ".hidden", true},
                      Glob{"NBD", "nbd", false},
                      // Only * and ? are special.
                      Glob{"a[b]", "a[b]", true}, Glob{"a[b]", "ab", false}, Glob{"a\\*", "a\\b", true},
                      Glob{"", "", true}, Glob{"", "a", false}));

TEST(Labels, NameTheDefaultByThePeerOnly) {
    EXPECT_EQ(label("nbdkit", "default"), "nbdkit");
    EXPECT_EQ(label("nbdkit", "no-sr"), "nbdkit+no-sr");
}

struct Selecting {
    const char* pattern;
    const char* peer;
    const char* variant;
    bool selects;
};

class Patterns : public ::testing::TestWithParam<Selecting> {};

TEST_P(Patterns, Select) {
    const Selecting& row = GetParam();
    EXPECT_EQ(selects(row.pattern, row.peer, row.variant), row.selects)
        << row.pattern << " on " << row.peer << " " << row.variant;
}

INSTANTIATE_TEST_SUITE_P(Selection, Patterns,
                         ::testing::Values(Selecting{"nbdkit", "nbdkit", "default", true},
                                           Selecting{"nbdkit", "nbdkit", "no-sr", true},
                                           Selecting{"nbdkit", "nbdkit-nbd", "default", false},
                                           Selecting{"nbdkit*", "nbdkit-nbd", "no-sr", true},
                                           Selecting{"nbdkit+default", "nbdkit", "default", true},
                                           Selecting{"nbdkit+default", "nbdkit", "no-sr", false},
                                           Selecting{"nbdkit+no-sr", "nbdkit", "no-sr", true},
                                           Selecting{"nbdkit+no-sr", "nbdkit", "default", false},
                                           Selecting{"nbdkit+*", "nbdkit", "default", true},
                                           Selecting{"*+no-sr", "nbdkit", "no-sr", true},
                                           Selecting{"*+no-*", "nbdkit", "default", false}));

/// The small catalogue: one server and three clients, with two variants each or none.
class Cases : public ::testing::Test {
  protected:
    Cases() {
        files_.replace(
            "interop/base.yaml", "  - read: { offset: 0, length: 4KiB }\n",
            "  - read: { offset: 0, length: 4KiB }\n"
            "- { scenario: write-start, title: t, group: g, rule: READ-DATA, steps: [ { connect: {} } ] }\n");
        catalogue_ = files_.load();
    }

    std::vector<std::string> ids(const Selection& selection) {
        std::vector<std::string> result;
        for (const Case& item : make_cases(catalogue_, selection)) {
            result.push_back(item.id());
        }
        return result;
    }

    std::string error(const Selection& selection) {
        return message_of<SelectionError>([&] { (void)make_cases(catalogue_, selection); });
    }

    TempCatalogue files_;
    Catalogue catalogue_;
};

TEST_F(Cases, InAStarEveryVariantMeetsTheDefaultsOfTheOthers) {
    Selection selection;
    selection.scenarios = {"read-start"};
    EXPECT_THAT(ids(selection),
                ElementsAre("disk-server/prober/read-start", "disk-server/prober+careful/read-start",
                            "disk-server/prompter/read-start", "disk-server/tool/read-start",
                            "disk-server+slow/prober/read-start", "disk-server+slow/prompter/read-start",
                            "disk-server+slow/tool/read-start"));
}

TEST_F(Cases, WithAllPairsEveryVariantMeetsEveryVariant) {
    Selection selection;
    selection.scenarios = {"read-start"};
    selection.pairs = Pairs::all;
    const auto all = ids(selection);
    EXPECT_EQ(all.size(), 8U);
    EXPECT_THAT(all, Contains("disk-server+slow/prober+careful/read-start"));
}

TEST_F(Cases, WithoutASelectionEverythingIsTaken) {
    const auto all = ids({});
    EXPECT_EQ(all.size(), 14U);
    EXPECT_THAT(all, IsSupersetOf({"disk-server/tool/read-start", "disk-server/tool/write-start"}));
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size()) << "identifiers are unique";
}

TEST_F(Cases, AreSelectedByServerClientAndScenario) {
    Selection selection;
    selection.servers = {"disk-server+slow"};
    selection.clients = {"tool", "prompter"};
    selection.scenarios = {"write-*"};
    EXPECT_THAT(ids(selection),
                ElementsAre("disk-server+slow/prompter/write-start", "disk-server+slow/tool/write-start"));
}

TEST_F(Cases, APatternThatMatchesTwiceTakesOnce) {
    Selection selection;
    selection.servers = {"*", "disk-server"};
    selection.scenarios = {"read-start", "read-*"};
    EXPECT_EQ(ids(selection).size(), 7U);
}

TEST_F(Cases, ASlowClientMeetsTheDefaultServersOnly) {
    files_.replace("peers/tool.yaml", "title: a program", "title: a program\nplain-servers-only: yes");
    catalogue_ = files_.load();
    Selection selection;
    selection.scenarios = {"read-start"};
    EXPECT_THAT(ids(selection), AllOf(Contains("disk-server/tool/read-start"),
                                      Not(Contains("disk-server+slow/tool/read-start"))));
    selection.pairs = Pairs::all;
    EXPECT_THAT(ids(selection), Contains("disk-server+slow/tool/read-start"));
}

TEST_F(Cases, APeerOnDemandTakesPartOnlyWhereItIsNamed) {
    files_.replace("peers/tool.yaml", "title: a program", "title: a program\non-demand: yes");
    catalogue_ = files_.load();
    Selection selection;
    selection.scenarios = {"read-start"};
    EXPECT_THAT(ids(selection), Not(Contains("disk-server/tool/read-start")));
    selection.clients = {"tool"};
    EXPECT_THAT(ids(selection), Contains("disk-server/tool/read-start"));
}

TEST_F(Cases, APatternThatMatchesNothingIsAnErrorWithAHint) {
    Selection server;
    server.servers = {"disk-sever"};
    EXPECT_THAT(error(server), AllOf(HasSubstr("no server matches 'disk-sever'"),
                                     HasSubstr("(did you mean 'disk-server'?)"), HasSubstr("list peers")));
    Selection client;
    client.clients = {"tool", "prober+carefull"};
    EXPECT_THAT(error(client), AllOf(HasSubstr("no client matches 'prober+carefull'"),
                                     HasSubstr("(did you mean 'prober+careful'?)")));
    Selection wrong_side;
    wrong_side.servers = {"tool"};
    EXPECT_THAT(error(wrong_side), HasSubstr("no server matches 'tool'"));
    Selection scenario;
    scenario.scenarios = {"reed-start"};
    EXPECT_THAT(error(scenario),
                AllOf(HasSubstr("no scenario matches 'reed-start'"),
                      HasSubstr("(did you mean 'read-start'?)"), HasSubstr("list scenarios")));
}

TEST_F(Cases, TwoVariantsThatOnlyMeetOutsideOfTheStar) {
    Selection selection;
    selection.servers = {"disk-server+slow"};
    selection.clients = {"prober+careful"};
    EXPECT_THAT(error(selection), HasSubstr("--pairs all"));
    selection.pairs = Pairs::all;
    EXPECT_EQ(ids(selection).size(), 2U);
}

/// Which clients can express a scenario with these steps; the reason, or "" if they can.
class Expressible : public ::testing::Test {
  protected:
    std::map<std::string, std::string> reasons(const std::string& steps, const std::string& more = "") {
        TempCatalogue files;
        // Every client can hold a connection, so that only the steps decide.
        files.write("interop/base.yaml",
                    "scenarios:\n- scenario: s\n  title: t\n  group: g\n  rule: READ-DATA\n" + more +
                        "  export: { size: 1MiB }\n  steps: " + steps + "\n");
        catalogue_ = files.load();
        std::map<std::string, std::string> result;
        for (const Case& item : make_cases(catalogue_, {})) {
            result[item.client_peer->name] = inexpressible(item);
        }
        return result;
    }

    Catalogue catalogue_;
};

TEST_F(Expressible, OperationsThatAClientHas) {
    auto why = reasons("[ { connect: {} }, { read: { offset: 0, length: 4KiB } }, { disconnect: {} } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_EQ(why["prompter"], "") << "connecting and disconnecting is what its process does";
    EXPECT_EQ(why["tool"], "tool can only 'read' the whole export");
}

TEST_F(Expressible, OperationsThatItHasNot) {
    auto why = reasons("[ { trim: { offset: 0, length: 4KiB } } ]");
    EXPECT_EQ(why["prober"], "prober has no 'trim'");
    EXPECT_EQ(why["tool"], "tool has no 'trim'");
    EXPECT_EQ(why["prompter"], "prompter has no 'trim'");
}

TEST_F(Expressible, TheWholeExport) {
    EXPECT_EQ(reasons("[ { read: { whole: yes } } ]")["tool"], "");
}

TEST_F(Expressible, Flags) {
    auto why = reasons("[ { write: { offset: 0, length: 4KiB, flags: [fua] } } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_EQ(why["prompter"], "");
    why = reasons("[ { read: { offset: 0, length: 4KiB, flags: [df] } } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_EQ(why["prompter"], "prompter has no 'read' with the flag 'df'");
    EXPECT_EQ(reasons("[ { write: { offset: 0, length: 4KiB, flags: [no-hole] } } ]")["prober"],
              "prober has no 'write' with the flag 'no-hole'");
}

TEST_F(Expressible, SeveralRequestsInFlight) {
    auto why = reasons("[ { read: { offset: 0, length: 4KiB, count: 2 } } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_THAT(why["prompter"], HasSubstr("several requests in flight"));
    why = reasons("[ { write: { offset: 0, length: 4KiB, background: w } }, { finish: { of: w } } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_NE(why["prompter"], "");
}

TEST_F(Expressible, AProgramCannotLeaveAbruptly) {
    auto why = reasons("[ { disconnect: { abrupt: yes } } ]");
    EXPECT_THAT(why["tool"], HasSubstr("abruptly"));
    EXPECT_EQ(why["prober"], "");
}

TEST_F(Expressible, TheHarnessesOwnStepsAreNobodysConcern) {
    auto why = reasons("[ { kill-server: {} }, { truncate-image: { to: 0 } } ]");
    EXPECT_EQ(why["prober"], "");
    EXPECT_EQ(why["tool"], "");
}

TEST_F(Expressible, TraitsThatTheScenarioNeeds) {
    auto why = reasons("[ { connect: {} } ]", "  needs: { client: { session: \"yes\" } }\n");
    EXPECT_EQ(why["prober"], "");
    EXPECT_EQ(why["tool"], "tool: session is 'no', 'yes' is needed");
}

} // namespace
} // namespace harness
