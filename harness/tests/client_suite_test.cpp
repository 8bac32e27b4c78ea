// Clients of all kinds of manners against the reference server.

#include "harness/check/client_self.hpp"
#include "harness/check/client_suite.hpp"
#include "harness/check/client_watch.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <unistd.h>

namespace harness::check {
namespace {

namespace fs = std::filesystem;
using reports::CaseResult;
using reports::Verdict;
using ::testing::HasSubstr;

constexpr const char* cases_yaml = R"(
section: Replies
cases:
- case: accepts-nonsense
  title: Replies begin with another magic number
  tests: [IT-MUST]
  server: { fault: reply-magic }
  bites: NBD_CMD_READ
  client: rejects
- case: plain
  title: Simple replies
  tests: [IT-MUST]
  server: { options: [--replies, simple] }
  client: tolerates
  output: as-usual
- case: other-uri
  title: Letters of the name are encoded
  tests: [IT-MUST]
  server: { export: disk }
  uri: "nbd+unix:///%64isk?socket={socket}"
  client: tolerates
- case: not-met
  title: Writes are answered twice
  tests: [IT-MUST]
  server: { fault: reply-twice }
  bites: NBD_CMD_WRITE
  client: survives
)";

class ClientSuiteTest : public ::testing::Test {
  protected:
    ClientSuiteTest() {
        requirements_["IT-MUST"] = {"IT-MUST", "S", Level::must, Bound::client, "t", "", "", ""};
        suite_.programs = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";
        suite_.client = "client";
        suite_.workspace = &workspace_;
        suite_.requirements = &requirements_;
        suite_.faults = list_faults(suite_.programs / "nbd-resize-server", "--list-faults");
        suite_.oddities = list_faults(suite_.programs / "nbd-resize-server", "--list-oddities");
        suite_.command.limit = testing_support::generous;
        testing_support::write_file(folder_ / "c.yaml", cases_yaml);
        load_client_cases(YamlNode::load(folder_ / "c.yaml"), requirements_, cases_);
    }

    /// A shell that has the reference client as $0 and the server's URI as $1.
    void shell(const std::string& script) {
        suite_.command.argv = {"/bin/sh", "-c", script, (suite_.programs / "nbd-resize-client").string(),
                               "{uri}"};
    }

    std::map<std::string, CaseResult> run() {
        std::map<std::string, CaseResult> results;
        for (CaseResult& item : run_client_suite(suite_, cases_, [](auto, const auto&) {}).cases) {
            results[item.scenario] = std::move(item);
        }
        return results;
    }

    testing_support::TempFolder folder_;
    Workspace workspace_;
    Requirements requirements_;
    ClientSuite suite_;
    std::vector<ClientCase> cases_;
};

TEST_F(ClientSuiteTest, PassesAGoodClient) {
    suite_.command.argv = {(suite_.programs / "nbd-resize-client").string(), "read", "{uri}", "0", "4096"};
    auto results = run();
    EXPECT_EQ(results["check/baseline"].verdict, Verdict::pass) << results["check/baseline"].reason;
    EXPECT_EQ(results["check/accepts-nonsense"].verdict, Verdict::pass)
        << results["check/accepts-nonsense"].reason;
    EXPECT_EQ(results["check/plain"].verdict, Verdict::pass) << results["check/plain"].reason;
    EXPECT_EQ(results["check/other-uri"].verdict, Verdict::pass) << results["check/other-uri"].reason;
    EXPECT_EQ(results["check/not-met"].verdict, Verdict::unsupported);
    EXPECT_THAT(results["check/not-met"].reason, HasSubstr("never sent NBD_CMD_WRITE"));
}

TEST_F(ClientSuiteTest, TestsNoNamesWithACommandThatHasNone) {
    const fs::path file = folder_ / "named.yaml";
    testing_support::write_file(file, "section: Names\n"
                                      "cases:\n"
                                      "- case: named\n"
                                      "  title: The export has a name\n"
                                      "  tests: [IT-MUST]\n"
                                      "  server: { oddity: only-by-name, export: disk }\n"
                                      "  client: tolerates\n");
    cases_.clear();
    load_client_cases(YamlNode::load(file), requirements_, cases_);
    const std::string client = (suite_.programs / "nbd-resize-client").string();
    suite_.command.argv = {client, "read", "{uri}", "0", "4096"};
    EXPECT_EQ(run()["check/named"].verdict, Verdict::pass);
    suite_.command.argv = {client, "read", "nbd+unix:///?socket={socket}", "0", "4096"};
    EXPECT_EQ(run()["check/named"].verdict, Verdict::unsupported);
    suite_.command.argv = {client, "read", "nbd+unix:///?socket={socket}&x={export}", "0", "4096"};
    EXPECT_EQ(run()["check/named"].verdict, Verdict::fail);
}

TEST_F(ClientSuiteTest, FailsOneThatSucceedsWhateverHappens) {
    shell(R"("$0" read "$1" 0 4096 2>&1; exit 0)");
    EXPECT_EQ(run()["check/accepts-nonsense"].verdict, Verdict::fail);
}

TEST_F(ClientSuiteTest, SaysThatNothingWasTestedWithOneThatGivesUpWhateverHappens) {
    shell(R"("$0" read "$1" 0 4096 > /dev/null; echo "too bad" >&2; exit 1)");
    EXPECT_THAT(testing_support::message_of<NothingTested>([&] { (void)run(); }), HasSubstr("too bad"));
}

TEST_F(ClientSuiteTest, SaysThatNothingWasTestedWithOneThatDoesNotConnect) {
    shell("exit 0");
    EXPECT_THAT(testing_support::message_of<NothingTested>([&] { (void)run(); }),
                HasSubstr("does not connect"));
}

TEST_F(ClientSuiteTest, SeesCrashes) {
    shell(R"("$0" read "$1" 0 4096 || kill -SEGV $$)");
    EXPECT_EQ(run()["check/accepts-nonsense"].verdict, Verdict::crash);
}

TEST_F(ClientSuiteTest, EndsOneThatHangs) {
    suite_.command.limit = std::chrono::seconds(3);
    shell(R"("$0" read "$1" 0 4096 || sleep 1000)");
    EXPECT_EQ(run()["check/accepts-nonsense"].verdict, Verdict::timeout);
}

TEST_F(ClientSuiteTest, EndsOneThatGrows) {
    suite_.command.memory_limit = std::uint64_t{64} << 20;
    shell(R"("$0" read "$1" 0 4096 || tail /dev/zero)");
    const CaseResult result = run()["check/accepts-nonsense"];
    EXPECT_EQ(result.verdict, Verdict::fail);
    EXPECT_THAT(result.reason, HasSubstr("MiB of memory"));
}

TEST_F(ClientSuiteTest, BearsOneThatFloodsItsOutput) {
    shell(R"(head -c 20000000 /dev/zero; exec "$0" read "$1" 0 4096)");
    auto results = run();
    EXPECT_EQ(results["check/plain"].verdict, Verdict::pass) << results["check/plain"].reason;
    EXPECT_EQ(results["check/accepts-nonsense"].verdict, Verdict::pass);
}

TEST_F(ClientSuiteTest, NoticesOtherOutput) {
    shell(R"("$0" read "$1" 0 4096 && "$0" info "$1" | grep -i -e structured -e extended -e simple)");
    EXPECT_EQ(run()["check/plain"].verdict, Verdict::fail);
}

TEST_F(ClientSuiteTest, KeepsTheLogsOfWhatFailed) {
    suite_.out = folder_ / "out";
    shell(R"("$0" read "$1" 0 4096 2>&1; exit 0)");
    auto results = run();
    const fs::path logs = suite_.out / results["check/accepts-nonsense"].folder;
    EXPECT_TRUE(fs::exists(logs / "wire.transcript"));
    EXPECT_TRUE(results["check/plain"].folder.empty());
}

TEST_F(ClientSuiteTest, NeedsNoUnixSocket) {
    suite_.command.argv = {(suite_.programs / "nbd-resize-client").string(), "read",
                           "nbd://127.0.0.1:{port}/{export}", "0", "4096"};
    auto results = run();
    EXPECT_EQ(results["check/accepts-nonsense"].verdict, Verdict::pass);
    EXPECT_EQ(results["check/other-uri"].verdict, Verdict::unsupported) << "it takes no URI";
}

TEST_F(ClientSuiteTest, FailsOneThatMisreadsTheUriOfACase) {
    shell(R"("$0" --fault uri-percent-kept read "$1" 0 4096)");
    EXPECT_EQ(run()["check/other-uri"].verdict, Verdict::fail);
}

/// One case that the client's requests are well-formed, and two errands.
class ClientSelfTest : public ClientSuiteTest {
  protected:
    ClientSelfTest() {
        requirements_["REQUEST-MAGIC"] = {"REQUEST-MAGIC", "S", Level::must, Bound::client, "t", "", "", ""};
        cases_.resize(1);
        cases_.front().tests = {"REQUEST-MAGIC"};
        cases_.front().server = {};
        cases_.front().wants = ClientCase::Wants::tolerates;
        conformance_.client_cases = cases_;
        conformance_.errands = {{"list", {"list", "{uri}"}, {}},
                                {"driven",
                                 {"--replies", "simple"},
                                 {R"({"id":1,"op":"connect","uri":"{uri}"})",
                                  R"({"id":2,"op":"read","offset":99999999,"length":1,"into":"{file}"})",
                                  R"({"id":3,"op":"disconnect"})"}}};
    }

    Detection look() { return check_clients_themselves(suite_, conformance_, options_); }

    Conformance conformance_;
    ClientSelfOptions options_;
};

TEST_F(ClientSelfTest, FindsOutWhichCaseNoticesWhichFault) {
    options_.faults = {"request-magic"};
    const Detection found = look();
    EXPECT_THAT(found.noticed("request-magic"), ::testing::ElementsAre("accepts-nonsense"));
    ASSERT_EQ(found.sightings().size(), 1U);
    EXPECT_EQ(found.sightings().front().on, "driven") << "the other one sends no request";
    EXPECT_THAT(found.sightings().front().broken, ::testing::Contains("REQUEST-MAGIC"));
    EXPECT_THAT(found.unnoticed_faults(), ::testing::IsEmpty());
}

TEST_F(ClientSelfTest, TellsWhatNobodyNotices) {
    options_.faults = {"trim-not-offered"};
    EXPECT_THAT(look().unnoticed_faults(), ::testing::ElementsAre("trim-not-offered"));
}

TEST_F(ClientSelfTest, CarriesOutAPlan) {
    options_.faults = {"request-magic"};
    options_.plan = {{"request-magic", "driven", {"accepts-nonsense", "gone"}},
                     {"gone", "list", {"accepts-nonsense"}}};
    const Detection found = look();
    EXPECT_EQ(found.runs, 1U);
    EXPECT_EQ(found.sightings().size(), 1U);
}

TEST(ClientErrand, GivesTheCommandOfAProgram) {
    const ClientErrand errand{"size", {"size", "{uri}"}, {}};
    EXPECT_THAT(errand.command("/bin", "two-forms"),
                ::testing::ElementsAre("/bin/nbd-resize-client", "--fault", "two-forms", "size", "{uri}"));
}

TEST(ResidentMemory, IsKnownOfThisProcess) {
    EXPECT_GT(resident_memory(::getpid()), std::uint64_t{1} << 20);
    EXPECT_EQ(resident_memory(0x3fffffff), 0U);
}

} // namespace
} // namespace harness::check
