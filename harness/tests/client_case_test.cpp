// Cases for clients as YAML: what is read, and which mistakes are found.

#include "harness/catalogue/catalogue.hpp"
#include "harness/check/client_case.hpp"
#include "harness/check/client_suite.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing_support::message_of;
using testing_support::TempFolder;
using testing_support::write_file;

Requirements requirements() {
    Requirements all;
    all["CLIENT-MUST"] = {"CLIENT-MUST", "S", Level::must, Bound::client, "text", "", "", ""};
    all["SERVER-MUST"] = {"SERVER-MUST", "S", Level::must, Bound::server, "text", "", "", ""};
    return all;
}

std::vector<ClientCase> load(const std::string& cases) {
    const TempFolder folder;
    write_file(folder / "c.yaml", "section: Replies\ncases:\n" + cases);
    std::vector<ClientCase> made;
    load_client_cases(YamlNode::load(folder / "c.yaml"), requirements(), made);
    return made;
}

TEST(ClientCases, HaveAllThatTheFileSays) {
    const auto cases = load(R"(
- case: short-name
  title: A title
  tests: [CLIENT-MUST]
  server: { oddity: odd, options: [--replies, simple], export: disk, size: 4KiB+1, content: sparse }
  bites: [NBD_CMD_READ, NBD_OPT_LIST]
  client: tolerates
  output: as-usual
  may-skip: [NBD_CMD_FLUSH]
  may-need: NBD_CMD_BLOCK_STATUS
  uri: "nbd+unix:///%64isk?socket={socket}"
  may-send: []
  may-not-send: NBD_OPT_LIST
  still-sends: [NBD_OPT_GO]
  ambiguous: two readings
)");
    ASSERT_THAT(cases, SizeIs(1));
    const ClientCase& made = cases.front();
    EXPECT_EQ(made.name, "short-name");
    EXPECT_EQ(made.title, "A title");
    EXPECT_EQ(made.section, "Replies");
    EXPECT_THAT(made.tests, ElementsAre("CLIENT-MUST"));
    EXPECT_EQ(made.server.oddity, "odd");
    EXPECT_THAT(made.server.options, ElementsAre("--replies", "simple"));
    EXPECT_EQ(made.server.export_name, "disk");
    EXPECT_EQ(made.server.size, 4097U);
    EXPECT_EQ(made.server.content, ClientServer::Content::sparse);
    EXPECT_THAT(made.bites, ElementsAre("NBD_CMD_READ", "NBD_OPT_LIST"));
    EXPECT_EQ(made.wants, ClientCase::Wants::tolerates);
    EXPECT_EQ(made.output, ClientCase::Output::as_usual);
    EXPECT_THAT(made.may_skip, ElementsAre("NBD_CMD_FLUSH"));
    EXPECT_THAT(made.may_need, ElementsAre("NBD_CMD_BLOCK_STATUS"));
    EXPECT_EQ(made.uri.text(), "nbd+unix:///%64isk?socket={socket}");
    EXPECT_THAT(made.may_send, ::testing::Optional(::testing::IsEmpty()));
    EXPECT_THAT(made.may_not_send, ElementsAre("NBD_OPT_LIST"));
    EXPECT_THAT(made.still_sends, ElementsAre("NBD_OPT_GO"));
    EXPECT_EQ(made.ambiguous, "two readings");
}

TEST(ClientCases, AreComparedWithTheServerThatLacksTheFault) {
    const ClientCase faulty = load(R"(
- { case: a, title: t, breaks: SERVER-MUST, client: rejects, server: { fault: f, size: 4KiB, content: cut } })")
                                  .front();
    EXPECT_EQ(usual_server(faulty).fault, "");
    EXPECT_EQ(usual_server(faulty).size, 4096U);
    EXPECT_EQ(usual_server(faulty).content, ClientServer::Content::pattern);
    const ClientCase unusual = load(R"(
- { case: a, title: t, tests: CLIENT-MUST, client: survives, server: { size: 4KiB } })")
                                   .front();
    EXPECT_EQ(usual_server(unusual), ClientServer{});
    const ClientCase told = load(R"(
- { case: a, title: t, tests: CLIENT-MUST, client: survives, server: { fault: f }, usual: { size: 8KiB } })")
                                .front();
    EXPECT_EQ(usual_server(told).size, 8192U);
    EXPECT_EQ(usual_server(told).fault, "");
}

struct Mistake {
    const char* name;
    const char* yaml;
    const char* message;
};

class ClientCaseMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(ClientCaseMistakes, AreReported) {
    EXPECT_THAT(message_of<CatalogueError>([&] { (void)load(GetParam().yaml); }),
                HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, ClientCaseMistakes,
    ::testing::Values(
        Mistake{"nothing tested", "- { case: a, title: t, client: survives }", "what it 'tests'"},
        Mistake{"unknown requirement", "- { case: a, title: t, tests: CLIENT-MUS, client: survives }",
                "did you mean 'CLIENT-MUST'?"},
        Mistake{"requirement of servers", "- { case: a, title: t, tests: SERVER-MUST, client: survives }",
                "binds servers, not clients"},
        Mistake{"broken by no server", "- { case: a, title: t, breaks: CLIENT-MUST, client: survives }",
                "no server can break it"},
        Mistake{"unknown want", "- { case: a, title: t, tests: CLIENT-MUST, client: reject }",
                "did you mean 'rejects'?"},
        Mistake{"unknown key", "- { case: a, title: t, tests: CLIENT-MUST, client: survives, bite: x }",
                "did you mean 'bites'?"},
        Mistake{"unknown command",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, bites: NBD_CMD_REED }",
                "did you mean 'NBD_CMD_READ'?"},
        Mistake{
            "fault and oddity",
            "- { case: a, title: t, tests: CLIENT-MUST, client: survives, server: { fault: f, oddity: o } }",
            "a fault or an oddity, not both"},
        Mistake{"comparison with a broken server",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, usual: { fault: f } }",
                "has no fault and no oddity"},
        Mistake{"nothing to reject", "- { case: a, title: t, tests: CLIENT-MUST, client: rejects }",
                "what is to be rejected"},
        Mistake{"broken and tolerated", "- { case: a, title: t, breaks: SERVER-MUST, client: tolerates }",
                "nobody has to tolerate"},
        Mistake{"unknown place",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, uri: 'nbd://h:{prt}/' }",
                "did you mean 'port'?"},
        Mistake{"nowhere to go",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, uri: 'nbd://h/' }",
                "leads to one server"},
        Mistake{"output of what is rejected",
                "- { case: a, title: t, tests: CLIENT-MUST, client: rejects, server: { fault: f }, output: "
                "data }",
                "where the client may succeed"},
        Mistake{"unknown output",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, output: as_usual }",
                "did you mean 'as-usual'?"},
        Mistake{"skips in what is survived",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, may-skip: NBD_CMD_READ }",
                "have to tolerate something"},
        Mistake{"large disk",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, server: { size: 1GiB } }",
                "has 'content: zeroes'"},
        Mistake{"bad size",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives, server: { size: big } }",
                "big"},
        Mistake{"same name twice",
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives }\n"
                "- { case: a, title: t, tests: CLIENT-MUST, client: survives }",
                "a second case 'a'"}),
    testing_support::by_name);

TEST(ClientCases, NameFaultsThatThereAre) {
    const auto cases = load(R"(
- { case: a, title: t, breaks: SERVER-MUST, client: rejects, server: { fault: reply-magik } })");
    const std::vector<ListedFault> faults{{"reply-magic", "SERVER-MUST", "does it"}};
    EXPECT_THAT(message_of<CatalogueError>([&] { check_faults(cases, faults, {}); }),
                EndsWith("no fault 'reply-magik' (did you mean 'reply-magic'?)"));
}

} // namespace
} // namespace harness::check
