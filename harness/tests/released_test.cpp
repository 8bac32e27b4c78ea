// Released clients on every configuration of the server: the suite is read right, cases that came out alike
// are rolled up without loss, and a server that breaks a rule is noticed.

#include "harness/released/roll_up.hpp"
#include "harness/released/suite.hpp"
#include "harness/tests/temp_catalogue.hpp"
#include "reports/results_json.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace harness {
namespace {

using namespace testing_support;
using reports::CaseResult;
using reports::Verdict;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::filesystem::path project = std::filesystem::path(NBD_SOURCE_DIR) / "scenarios";

ReleasedSuite load(std::size_t every, const std::vector<std::string>& wanted = {},
                   const std::filesystem::path& file = project / "resize/clients/suite.yaml") {
    static const Catalogue base = load_catalogue(project);
    static const Knobs knobs = Knobs::load(project / "knobs.yaml");
    return load_released_suite(file, base, knobs, {every, wanted, {}});
}

TEST(ReleasedSuiteTest, HasAVariantForEachConfiguration) {
    const ReleasedSuite suite = load(1);
    const Peer& server = suite.catalogue.peers.front();
    EXPECT_THAT(server.servers, SizeIs(531));
    EXPECT_EQ(server.role, "server");
    for (const ServerVariant& variant : server.servers) {
        EXPECT_TRUE(variant.export_name.starts_with(variant.name + ",size=1MiB"));
        EXPECT_EQ(variant.traits.size(), suite.catalogue.facts.default_traits("server").size());
    }
}

TEST(ReleasedSuiteTest, StartsTheServerByTheRepliesOfTheConfiguration) {
    const ReleasedSuite suite = load(1);
    for (const ServerVariant& variant : suite.catalogue.peers.front().servers) {
        const std::string& replies = variant.traits.at("knob.replies");
        const std::vector<std::string> expected =
            replies == "extended" ? std::vector<std::string>{} : std::vector{"--replies=" + replies};
        EXPECT_EQ(variant.args, expected) << variant.name;
    }
}

TEST(ReleasedSuiteTest, IsThinnedOut) {
    EXPECT_THAT(load(100).catalogue.peers.front().servers, SizeIs(6));
    const ReleasedSuite with_consent = load(1, {"consent=opt-in"});
    for (const ServerVariant& variant : with_consent.catalogue.peers.front().servers) {
        EXPECT_EQ(variant.traits.at("knob.consent"), "opt-in");
    }
    EXPECT_THAT(message_of<SelectionError>([] { (void)load(1, {"consent=maybe"}); }),
                HasSubstr("the values of consent are implicit, opt-in"));
    EXPECT_THAT(message_of<SelectionError>([] { (void)load(1, {"grow=plain"}); }),
                HasSubstr("--knob grow=plain"));
    EXPECT_THAT(message_of<SelectionError>([] {
                    (void)load(1, {"growth=none", "consent=implicit"});
                }),
                HasSubstr("no configuration"));
}

TEST(ReleasedSuiteTest, AMistakeIsReportedWhereItIs) {
    struct Mistake {
        const char* from;
        const char* to;
        const char* message;
    };
    for (const Mistake& mistake : {
             Mistake{"knob: replies", "knob: ^replys", "the server has no knob 'replys'"},
             Mistake{"simple: simple, ", "simple: ^simpel, ", "the server has no variant 'simpel'"},
             Mistake{"simple: simple, ", "", "'simple' is missing"},
             Mistake{"nbdinfo+default", "^nbdinf+default", "no client is 'nbdinf+default'"},
             Mistake{"title: R", "^titel: R", "'title' is missing"},
         }) {
        TempCatalogue files;
        for (const char* name : {"suite.yaml", "server.yaml", "scenarios.yaml"}) {
            files.write(name, read_file(project / "resize/clients" / name));
        }
        files.replace("suite.yaml", mistake.from, mistake.to);
        const std::string error =
            message_of<CatalogueError>([&] { (void)load(1, {}, files.path() / "suite.yaml"); });
        EXPECT_THAT(error, HasSubstr(mistake.message)) << mistake.to;
        if (std::string_view(mistake.to).find('^') != std::string_view::npos &&
            !std::string_view(mistake.to).starts_with("^titel")) {
            EXPECT_THAT(error, HasSubstr(files.marked())) << mistake.to;
        }
    }
}

CaseResult result_of(const std::string& configuration, Verdict verdict, const std::string& answer) {
    CaseResult result;
    result.id = fmt::format("server+{}/client/scenario", configuration);
    result.scenario = "scenario";
    result.title = "Does something";
    result.server = {"server", configuration};
    result.client = {"client", "default"};
    result.verdict = verdict;
    result.seconds = 1;
    result.folder = "cases/" + result.id;
    if (verdict == Verdict::unsupported) {
        result.reason = answer;
    } else {
        result.observations = {{"what came", answer}};
    }
    return result;
}

TEST(RollUp, MakesOneOfWhatPassedAndKeepsWhatDidNot) {
    const std::vector<CaseResult> rolled = roll_up({result_of("growth=none", Verdict::pass, "ENOSPC"),
                                                    result_of("growth=auto", Verdict::pass, "success"),
                                                    result_of("growth=both", Verdict::fail, "EIO"),
                                                    result_of("growth=other", Verdict::pass, "success")},
                                                   Side::server, true);
    ASSERT_THAT(rolled, SizeIs(2));
    EXPECT_EQ(rolled[0].id, "server/client/scenario");
    EXPECT_EQ(rolled[0].server.variant, "default");
    EXPECT_EQ(rolled[0].seconds, 3);
    EXPECT_EQ(rolled[0].folder, "") << "the logs of cases that passed are not kept";
    EXPECT_THAT(rolled[0].observations,
                ElementsAre(reports::Observation{"configurations as expected", "3"},
                            reports::Observation{"what came", "ENOSPC (1 configuration)"},
                            reports::Observation{"what came", "success (2 configurations)"}));
    EXPECT_THAT(rolled[0].members, ElementsAre("growth=none", "growth=auto", "growth=other"));
    EXPECT_EQ(rolled[1].id, "server+growth=both/client/scenario");
    EXPECT_EQ(rolled[1].verdict, Verdict::fail);
    EXPECT_EQ(rolled[1].folder, "cases/server+growth=both/client/scenario");
}

TEST(RollUp, KeepsReasonsApart) {
    const std::vector<CaseResult> rolled = roll_up({result_of("a", Verdict::unsupported, "it cannot"),
                                                    result_of("b", Verdict::unsupported, "it will not"),
                                                    result_of("c", Verdict::unsupported, "it cannot")},
                                                   Side::server, false);
    ASSERT_THAT(rolled, SizeIs(2));
    EXPECT_EQ(rolled[0].reason, "it cannot (2 configurations)");
    EXPECT_EQ(rolled[1].reason, "it will not (1 configuration)");
    EXPECT_NE(rolled[0].id, rolled[1].id);
}

TEST(RollUp, IsCountedInATable) {
    const reports::EvidenceTable table =
        released_table({result_of("a", Verdict::pass, "success"), result_of("b", Verdict::fail, "EIO"),
                        result_of("c", Verdict::unsupported, "it cannot")},
                       Side::server, "A table", "");
    EXPECT_THAT(table.rows, ElementsAre(ElementsAre("client", "Does something", "1 of 2",
                                                    "what came: success (1); what came: EIO (1)")));
}

TEST(RollUp, KeepsListedDeviationsTogether) {
    CaseResult deviating = result_of("a", Verdict::warn, "EINVAL");
    deviating.findings = {{Verdict::warn, reports::Party::server, "RULE", "1", "EINVAL came", "listed"}};
    deviating.reason = "EINVAL came";
    CaseResult unlisted = deviating;
    unlisted.findings.front().deviation.clear();
    CaseResult elsewhere = deviating;
    elsewhere.reason = "EINVAL came at another byte";
    const std::vector<CaseResult> cases{deviating, elsewhere, unlisted};
    const std::vector<CaseResult> rolled = roll_up(cases, Side::server, false);
    ASSERT_THAT(rolled, SizeIs(2));
    EXPECT_EQ(rolled[0].reason, "EINVAL came (2 configurations)");
    EXPECT_EQ(rolled[1].id, unlisted.id);
    EXPECT_THAT(roll_up(cases, Side::server, true), SizeIs(3));
}

TEST(RollUp, OfConfiguredClientsIsByServer) {
    CaseResult one = result_of("a", Verdict::pass, "ENOSPC");
    one.server = {"nbdkit", "no-sr"};
    one.client = {"client", "grow=none"};
    CaseResult other = one;
    other.client.variant = "grow=plain";
    const std::vector<CaseResult> rolled = roll_up({one, other}, Side::client, true);
    ASSERT_THAT(rolled, SizeIs(1));
    EXPECT_EQ(rolled[0].id, "nbdkit+no-sr/client/scenario");
    EXPECT_THAT(rolled[0].members, ElementsAre("grow=none", "grow=plain"));
    EXPECT_THAT(
        released_table({one, other}, Side::client, "A table", "").rows,
        ElementsAre(ElementsAre("nbdkit+no-sr", "Does something", "2 of 2", "what came: ENOSPC (2)")));
}

TEST(ServerSuiteTest, HasAVariantForEachConfiguration) {
    const ReleasedSuite suite = load(1, {}, project / "resize/servers/suite.yaml");
    const Peer& client = suite.catalogue.peers.front();
    EXPECT_THAT(client.clients, SizeIs(120));
    for (const ClientVariant& variant : client.clients) {
        for (const char* knob : {"ask", "replies", "grow", "learn"}) {
            EXPECT_THAT(variant.args, ::testing::Contains(fmt::format(
                                          "--{}={}", knob, variant.traits.at(std::string("knob.") + knob))));
        }
        EXPECT_EQ(variant.traits.at("replies") == "simple", variant.traits.at("knob.replies") == "simple");
    }
    EXPECT_THAT(message_of<SelectionError>(
                    [] { (void)load(1, {"growth=both"}, project / "resize/servers/suite.yaml"); }),
                HasSubstr("released servers have no knobs"));
}

TEST(ServerSuiteTest, AClientMayHaveAPartOfTheKnobs) {
    const ReleasedSuite suite = load(1, {}, project / "resize/servers/suite.yaml");
    EXPECT_THAT(suite.peers, ElementsAre("reference-client", "libnbd"));
    const Peer& libnbd = *suite.catalogue.peer("libnbd", "client");
    EXPECT_THAT(libnbd.clients, SizeIs(120));
    std::size_t can = 0;
    for (const ClientVariant& variant : libnbd.clients) {
        const std::string& grow = variant.traits.at("knob.grow");
        const std::string& learn = variant.traits.at("knob.learn");
        const bool ordinary = variant.traits.at("knob.ask") == "none" &&
                              (grow == "none" || grow == "plain") &&
                              (learn == "none" || learn == "reconnect");
        EXPECT_EQ(variant.cannot.empty(), ordinary) << variant.name;
        EXPECT_EQ(std::ranges::count(variant.args, "--grow=plain"), grow == "plain") << variant.name;
        EXPECT_EQ(std::ranges::count(variant.args, "--learn=reconnect"), learn == "reconnect")
            << variant.name;
        can += ordinary ? 1 : 0;
    }
    EXPECT_EQ(can, 3U * 2U * 2U);
}

TEST(ServerSuiteTest, AClientWithAPartOfTheKnobsHasToSayAllOfThem) {
    struct Mistake {
        const char* from;
        const char* to;
        const char* message;
    };
    for (const Mistake& mistake : {
             Mistake{"      plain: [--grow=plain]\n", "", "'plain' is missing"},
             Mistake{"      none: []\n      reconnect:", "      none: []\n      never: []\n      reconnect:",
                     "never"},
             Mistake{"    grow:\n      none: []", "    grew:\n      none: []", "'grow' is missing"},
             Mistake{"- peer: libnbd.yaml", "- peer: server.yaml", "this peer is no client"},
         }) {
        TempCatalogue files;
        for (const char* name :
             {"suite.yaml", "client.yaml", "libnbd.yaml", "scenarios.yaml", "deviations.yaml"}) {
            files.write(name, read_file(project / "resize/servers" / name));
        }
        files.replace("suite.yaml", mistake.from, mistake.to);
        files.write("server.yaml", read_file(project / "peers/nbd-server.yaml"));
        EXPECT_THAT(message_of<CatalogueError>([&] { (void)load(1, {}, files.path() / "suite.yaml"); }),
                    HasSubstr(mistake.message))
            << mistake.to;
    }
}

TEST(PairSuiteTest, HasItsOwnClients) {
    const ReleasedSuite suite = load(1, {}, project / "resize/pairs/suite.yaml");
    ASSERT_THAT(suite.catalogue.peers, SizeIs(3));
    EXPECT_EQ(suite.catalogue.peers[2].name, "libnbd");
    EXPECT_THAT(suite.catalogue.peers[0].servers, SizeIs(531));
    EXPECT_THAT(suite.catalogue.peers[1].variant_names(), ElementsAre("default", "plain", "flagged"));
}

/// A suite as a user runs it.
class ReleasedRun : public ::testing::Test {
  protected:
    reports::RunResult run(const std::vector<std::string>& arguments) {
        std::string command = fmt::format("{}/nbd-interop --scenarios '{}' run --quiet --out '{}'",
                                          NBD_BIN_DIR, project.string(), (folder_.path() / "out").string());
        for (const std::string& argument : arguments) {
            command += " '" + argument + "'";
        }
        command += " > '" + (folder_.path() / "log").string() + "' 2>&1";
        status_ = std::system(command.c_str());
        const auto results = folder_.path() / "out/results.json";
        return std::filesystem::exists(results) ? reports::read_results(results) : reports::RunResult{};
    }
    [[nodiscard]] std::string log() const { return read_file(folder_.path() / "log"); }

    TempFolder folder_;
    int status_ = 0;
};

/// With a sample of the server's configurations.
class ReleasedClients : public ReleasedRun {
  protected:
    reports::RunResult run(const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"--suite", "resize-clients", "--every",
                                           "40",      "--client",       "reference-client+default"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return ReleasedRun::run(arguments);
    }
};

/// With a sample of the client's configurations and one server.
class ReleasedServers : public ReleasedRun {
  protected:
    void SetUp() override {
        if (std::system("nbdkit --version > /dev/null 2>&1") != 0) {
            GTEST_SKIP() << "nbdkit is not installed";
        }
    }
    reports::RunResult run(const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"--suite", "resize-servers", "--server", "nbdkit+default"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return ReleasedRun::run(arguments);
    }
    /// A run in which this rule is found to be broken.
    void breaks(const std::vector<std::string>& more, const std::string& rule) {
        const reports::RunResult result = run(more);
        EXPECT_NE(status_, 0);
        EXPECT_THAT(result.cases, ::testing::Contains(Field(
                                      &CaseResult::findings,
                                      ::testing::Contains(Field(&reports::Finding::requirement, rule)))))
            << log();
    }
};

TEST_F(ReleasedServers, PassWithAnHonestClient) {
    const reports::RunResult result = run({"--every", "7", "--client", "reference-client"});
    EXPECT_EQ(status_, 0) << log();
    EXPECT_THAT(result.tables, SizeIs(1));
    EXPECT_THAT(result.cases, SizeIs(5));
    for (const CaseResult& item : result.cases) {
        // Two scenarios are for servers that grow.
        const Verdict wanted =
            item.scenario.starts_with("knobs-gateway") ? Verdict::unsupported : Verdict::pass;
        EXPECT_EQ(item.verdict, wanted) << item.scenario << ": " << item.reason;
    }
}

TEST_F(ReleasedServers, TakeALibraryThatHasAPartOfTheKnobs) {
    const reports::RunResult result = run({"--client", "libnbd", "--knob", "ask=none"});
    EXPECT_EQ(status_, 0) << log();
    // All that it can do comes out right, and the rest is said to be lacking.
    for (const char* scenario : {"knobs-alone", "knobs-storage-grew", "knobs-storage-shrank"}) {
        EXPECT_THAT(
            result.cases,
            ::testing::Contains(
                AllOf(Field(&CaseResult::scenario, scenario), Field(&CaseResult::verdict, Verdict::pass),
                      Field(&CaseResult::observations,
                            ::testing::Contains(reports::Observation{"configurations as expected", "12"})))));
        EXPECT_THAT(result.cases,
                    ::testing::Contains(AllOf(Field(&CaseResult::scenario, scenario),
                                              Field(&CaseResult::verdict, Verdict::unsupported),
                                              Field(&CaseResult::reason, HasSubstr("48 configurations")))));
    }
}

TEST_F(ReleasedServers, NoticeAClientThatResizesWhatCannotBe) {
    breaks({"--knob", "grow=explicit", "--every", "9", "--client-fault", "resize-without-flag"}, "RZ-FLAG-2");
}

TEST_F(ReleasedServers, NoticeAClientThatExtendsWhatCannotBe) {
    breaks({"--knob", "grow=flagged", "--every", "9", "--client-fault", "extend-unadvertised"}, "RZ-INFO-7");
}

TEST_F(ReleasedServers, NoticeAClientThatDoesNotBelieveWhatItIsTold) {
    breaks({"--knob", "learn=poll", "--every", "7", "--client-fault", "ignore-size-of-reconnect"},
           "RZ-SIZE-1");
}

TEST_F(ReleasedServers, NoticeOnTheWireWhoBreaksARule) {
    const reports::RunResult result = run({"--every", "9", "--client-fault", "extend-on-read"});
    EXPECT_NE(status_, 0);
    EXPECT_THAT(result.cases,
                ::testing::Contains(
                    Field(&CaseResult::findings,
                          ::testing::Contains(AllOf(Field(&reports::Finding::requirement, "RZ-AUTO-4"),
                                                    Field(&reports::Finding::party, reports::Party::client),
                                                    Field(&reports::Finding::step, "wire"))))))
        << log();
}

TEST_F(ReleasedServers, RefuseOptionsThatMeanNothing) {
    (void)run({"--client", "libnb"});
    EXPECT_THAT(log(), HasSubstr("no client matches 'libnb'"));
    (void)run({"--server-fault", "auto-unrounded"});
    EXPECT_THAT(log(), HasSubstr("--server-fault auto-unrounded"));
}

/// Two clients, with a sample of the server's configurations.
using Pairs = ReleasedRun;

TEST_F(Pairs, PassOnAnHonestServer) {
    const reports::RunResult result = run({"--suite", "resize-pairs", "--every", "20"});
    EXPECT_EQ(status_, 0) << log();
    ASSERT_THAT(result.tables, SizeIs(1));
    // The reference client in each of its ways, and libnbd, which has one of them.
    EXPECT_THAT(result.tables.front().rows, SizeIs(5));
}

TEST_F(Pairs, NoticeAServerThatShrinksAlthoughItMustNot) {
    const reports::RunResult result = run({"--suite", "resize-pairs", "--every", "9", "--knob", "shrink=deny",
                                           "--server-fault", "shrinks-uninvited"});
    EXPECT_NE(status_, 0);
    EXPECT_THAT(result.cases, ::testing::Contains(Field(
                                  &CaseResult::findings,
                                  ::testing::Contains(Field(&reports::Finding::requirement, "RZ-PLAIN-3")))))
        << log();
}

TEST_F(ReleasedClients, PassOnAnHonestServer) {
    const reports::RunResult result = run({});
    EXPECT_EQ(status_, 0);
    EXPECT_THAT(result.tables, SizeIs(1));
    for (const CaseResult& item : result.cases) {
        EXPECT_THAT(item.verdict, ::testing::AnyOf(Verdict::pass, Verdict::unsupported)) << item.reason;
    }
}

TEST_F(ReleasedClients, NoticeAServerThatGrowsUninvited) {
    const reports::RunResult result = run({"--server-fault", "extends-uninvited"});
    EXPECT_NE(status_, 0);
    EXPECT_THAT(result.cases,
                ::testing::Contains(
                    AllOf(Field(&CaseResult::verdict, Verdict::fail),
                          Field(&CaseResult::findings,
                                ::testing::Contains(Field(&reports::Finding::requirement, "RZ-AUTO-3"))))));
}

TEST_F(ReleasedClients, NoticeAServerThatDoesNotRound) {
    const reports::RunResult result = run({"--server-fault", "auto-unrounded"});
    EXPECT_NE(status_, 0);
    EXPECT_THAT(result.cases, ::testing::Contains(Field(
                                  &CaseResult::findings,
                                  ::testing::Contains(Field(&reports::Finding::requirement, "RZ-SIZE-1")))));
}

} // namespace
} // namespace harness
