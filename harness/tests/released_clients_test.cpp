// Released clients on every configuration of the server: the suite is read right, cases that came out alike
// are rolled up without loss, and a server that breaks a rule is noticed.

#include "harness/released/client_suite.hpp"
#include "harness/released/roll_up.hpp"
#include "harness/tests/temp_catalogue.hpp"
#include "reports/results_json.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

ClientSuite load(std::size_t every, const std::vector<std::string>& wanted = {},
                 const std::filesystem::path& file = project / "resize/clients/suite.yaml") {
    static const Catalogue base = load_catalogue(project);
    static const Knobs knobs = Knobs::load(project / "knobs.yaml");
    return load_client_suite(file, base, knobs, every, wanted, {});
}

TEST(ClientSuiteTest, HasAVariantForEachConfiguration) {
    const ClientSuite suite = load(1);
    const Peer& server = suite.catalogue.peers.front();
    EXPECT_THAT(server.servers, SizeIs(531));
    EXPECT_EQ(server.role, "server");
    for (const ServerVariant& variant : server.servers) {
        EXPECT_TRUE(variant.export_name.starts_with(variant.name + ",size=1MiB"));
        EXPECT_EQ(variant.traits.size(), suite.catalogue.facts.default_traits("server").size());
    }
}

TEST(ClientSuiteTest, StartsTheServerByTheRepliesOfTheConfiguration) {
    const ClientSuite suite = load(1);
    for (const ServerVariant& variant : suite.catalogue.peers.front().servers) {
        const std::string& replies = variant.traits.at("knob.replies");
        const std::vector<std::string> expected =
            replies == "extended" ? std::vector<std::string>{} : std::vector{"--replies=" + replies};
        EXPECT_EQ(variant.args, expected) << variant.name;
    }
}

TEST(ClientSuiteTest, IsThinnedOut) {
    EXPECT_THAT(load(100).catalogue.peers.front().servers, SizeIs(6));
    const ClientSuite with_consent = load(1, {"consent=opt-in"});
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

TEST(ClientSuiteTest, AMistakeIsReportedWhereItIs) {
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
                                                   true);
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
                                                   false);
    ASSERT_THAT(rolled, SizeIs(2));
    EXPECT_EQ(rolled[0].reason, "it cannot (2 configurations)");
    EXPECT_EQ(rolled[1].reason, "it will not (1 configuration)");
    EXPECT_NE(rolled[0].id, rolled[1].id);
}

TEST(RollUp, IsCountedInATable) {
    const reports::EvidenceTable table = released_clients_table(
        {result_of("a", Verdict::pass, "success"), result_of("b", Verdict::fail, "EIO"),
         result_of("c", Verdict::unsupported, "it cannot")});
    EXPECT_THAT(table.rows, ElementsAre(ElementsAre("client", "Does something", "1 of 2",
                                                    "what came: success (1); what came: EIO (1)")));
}

/// The suite as a user runs it, with a sample of the configurations.
class ReleasedClients : public ::testing::Test {
  protected:
    reports::RunResult run(const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"--scenarios",
                                           project.string(),
                                           "run",
                                           "--suite",
                                           "resize-clients",
                                           "--quiet",
                                           "--every",
                                           "40",
                                           "--client",
                                           "reference-client+default",
                                           "--out",
                                           (folder_.path() / "out").string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        std::string command = std::string(NBD_BIN_DIR) + "/nbd-interop";
        for (const std::string& argument : arguments) {
            command += " '" + argument + "'";
        }
        command += " > '" + (folder_.path() / "log").string() + "' 2>&1";
        status_ = std::system(command.c_str());
        return reports::read_results(folder_.path() / "out/results.json");
    }

    TempFolder folder_;
    int status_ = 0;
};

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
