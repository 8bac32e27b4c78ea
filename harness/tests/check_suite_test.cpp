// The conformance suite on servers sound, broken and hostile.

#include "harness/check/server_suite.hpp"
#include "harness/check/text_report.hpp"
#include "harness/tests/support.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace harness::check {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using reports::CaseResult;
using reports::Verdict;
using ::testing::HasSubstr;

/// The requirements and some cases, one for each way in which a step can end.
struct Suite {
    Requirements requirements;
    std::vector<ServerCase> cases;

    Suite() {
        const std::filesystem::path scenarios = std::filesystem::path(NBD_SOURCE_DIR) / "scenarios";
        for (const auto& file : yaml_files(scenarios / "requirements")) {
            load_requirements(YamlNode::load(file), requirements);
        }
        const TempFolder folder;
        write_file(folder / "cases.yaml", R"(
section: Tests
cases:
- case: greeting
  title: The greeting comes
  start: connected
  steps:
  - greeted: GREETING-MAGIC
- case: list
  title: The list comes
  start: haggling
  steps:
  - send: { option: NBD_OPT_LIST }
  - expect: { LIST-REPLIES: answer }
- case: list-with-data
  title: The list is refused with data
  start: haggling
  steps:
  - send: { option: NBD_OPT_LIST, data: "00" }
  - expect: { HAGGLING-NO-HANG-UP: error }
- case: unknown-option
  title: An unknown option is refused
  start: haggling
  steps:
  - send: { option: 77 }
  - expect: { OPTION-UNKNOWN: NBD_REP_ERR_UNSUP }
  - usable: HAGGLING-NO-HANG-UP
- case: read
  title: What was written is read
  needs: [writable]
  steps:
  - send: { request: NBD_CMD_WRITE, offset: 4KiB, length: 4KiB, data: { pattern: 3 } }
  - expect: { WRITE-DONE: success }
  - send: { request: NBD_CMD_READ, offset: 4KiB, length: 4KiB }
  - expect: { READ-DATA: success }
  - data: { rule: READ-DATA, pattern: 3 }
- case: leave
  title: The server lets a client go without a word
  steps:
  - send: { request: NBD_CMD_DISC }
  - ends: DISC-CLOSES
)");
        load_server_cases(YamlNode::load(folder / "cases.yaml"), requirements, cases);
    }

    SuiteResult run(const std::string& command, std::chrono::milliseconds patience = generous) const {
        Workspace workspace;
        StartedServer server(command, std::nullopt, workspace);
        server.start(patience);
        SuiteOptions options;
        options.server = "test";
        options.permissions = {true, true};
        options.patience = patience;
        return run_server_suite(cases, requirements, server.uri(), &server, options);
    }
};

std::string reference(const std::string& more = "") {
    return std::string(NBD_BIN_DIR) + "/nbd-resize-server --memory 1M " + more;
}

std::string fake(const std::string& manner) {
    return std::string(FAKE_SERVER) + " " + manner;
}

CaseResult find(const SuiteResult& result, const std::string& label) {
    const auto found = std::ranges::find(result.run.cases, "test/check/" + label, &CaseResult::id);
    EXPECT_NE(found, result.run.cases.end()) << label;
    return *found;
}

std::size_t count(const SuiteResult& result, Verdict verdict) {
    return static_cast<std::size_t>(std::ranges::count(result.run.cases, verdict, &CaseResult::verdict));
}

TEST(CheckSuite, PassesTheReferenceServer) {
    const SuiteResult result = Suite().run(reference());
    EXPECT_EQ(count(result, Verdict::pass), result.run.cases.size());
    EXPECT_EQ(result.run.cases.size(), 10U) << "the greeting, three options, and two cases in three styles";
    EXPECT_EQ(result.given_up, "");
}

TEST(CheckSuite, SaysWhatDoesNotApply) {
    const SuiteResult result = Suite().run(reference("--replies simple"));
    EXPECT_EQ(find(result, "read/structured").verdict, Verdict::unsupported);
    EXPECT_THAT(find(result, "read/structured").reason, HasSubstr("NBD_OPT_STRUCTURED_REPLY"));
    EXPECT_EQ(find(result, "read/simple").verdict, Verdict::pass);
}

TEST(CheckSuite, DoesNotBlameAServerForItsMaximumPayload) {
    const SuiteResult result = Suite().run(reference("--block-size 1,512,2K"));
    EXPECT_EQ(find(result, "read/simple").verdict, Verdict::unsupported);
    EXPECT_THAT(find(result, "read/simple").reason, HasSubstr("maximum payload"));
    EXPECT_EQ(find(result, "leave/simple").verdict, Verdict::pass);
}

struct Broken {
    const char* name;
    const char* fault;
    const char* label;
    const char* requirement;
    const char* message;
};

class BrokenServers : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenServers, AreBlamedForWhatTheyBreak) {
    const Broken& row = GetParam();
    const SuiteResult result = Suite().run(reference(std::string("--fault ") + row.fault));
    const CaseResult item = find(result, row.label);
    ASSERT_FALSE(item.findings.empty()) << row.label;
    const bool blamed = std::ranges::any_of(item.findings, [&](const reports::Finding& finding) {
        return finding.requirement == row.requirement && finding.party == reports::Party::server &&
               finding.message.find(row.message) != std::string::npos;
    });
    EXPECT_TRUE(blamed) << item.findings.front().requirement << ": " << item.findings.front().message;
}

INSTANTIATE_TEST_SUITE_P(
    Check, BrokenServers,
    ::testing::Values(Broken{"data", "write-lost", "read/simple", "READ-DATA", "byte 4096 of the export"},
                      Broken{"other data", "read-byte-early", "read/simple", "READ-DATA", "what was written"},
                      Broken{"wire", "reply-cookie-off-by-one", "wire-REPLY-COOKIE", "REPLY-COOKIE",
                             "cookie"},
                      Broken{"nobody's cookie", "reply-cookie-off-by-one", "read/simple", "WRITE-DONE",
                             "the cookie of no request"},
                      Broken{"garbage", "reply-magic", "read/simple", "WRITE-DONE", "magic number"}),
    by_name);

TEST(CheckSuite, ReportsACrashWithItsCaseStartsTheServerAgainAndGoesOn) {
    const SuiteResult result = Suite().run(fake("die-on-list"));
    const CaseResult item = find(result, "list-with-data");
    EXPECT_EQ(item.verdict, Verdict::crash);
    EXPECT_EQ(item.party, reports::Party::server);
    EXPECT_THAT(item.findings.front().message, HasSubstr("SIGSEGV"));
    EXPECT_EQ(find(result, "list").verdict, Verdict::pass);
    EXPECT_EQ(find(result, "unknown-option").verdict, Verdict::pass)
        << "on the server that was started again";
    EXPECT_EQ(count(result, Verdict::crash), 1U);
}

TEST(CheckSuite, EndsAnEndlessAnswer) {
    const SuiteResult result = Suite().run(fake("endless"), 5s);
    const CaseResult item = find(result, "list");
    EXPECT_NE(item.verdict, Verdict::pass);
    EXPECT_THAT(item.reason,
                ::testing::AnyOf(HasSubstr("far more than was asked for"), HasSubstr("nothing came")));
}

TEST(CheckSuite, TakesZeroesForNoAnswer) {
    const SuiteResult result = Suite().run(fake("babble"));
    EXPECT_EQ(find(result, "list").verdict, Verdict::fail);
    EXPECT_THAT(find(result, "list").reason, HasSubstr("magic number is 0x0"));
}

TEST(CheckSuite, DoesNotWaitForAServerThatDrips) {
    const auto begin = Clock::now();
    const SuiteResult result = Suite().run(fake("drip"), 100ms);
    EXPECT_EQ(find(result, "list").verdict, Verdict::timeout);
    EXPECT_THAT(find(result, "list").reason, HasSubstr("nothing came for 0.1 s"));
    EXPECT_LT(Clock::now() - begin, generous);
}

TEST(CheckSuite, BlamesASilentServerForItsGreeting) {
    const SuiteResult result = Suite().run(fake("hang"), 100ms);
    EXPECT_EQ(find(result, "greeting").verdict, Verdict::timeout);
    EXPECT_THAT(find(result, "greeting").reason, HasSubstr("a greeting is due, but nothing came for 0.1 s"));
    EXPECT_EQ(find(result, "list").verdict, Verdict::unsupported);
    EXPECT_THAT(result.facts, HasSubstr("a greeting is due"));
}

TEST(CheckSuite, SaysWhyAServerDoesNotStart) {
    EXPECT_THAT(message_of<NotStarted>([] { (void)Suite().run("/nonexistent/server --socket {socket}"); }),
                HasSubstr("exited with 127"));
}

TEST(CheckText, ShowsSectionsBytesAndHowToRunTheCaseAgain) {
    const Suite suite;
    const SuiteResult result = suite.run(reference("--fault write-lost"));
    TextOptions options;
    options.again = "nbd-interop check --case {case} X";
    options.unseen = {"some-deviation"};
    const std::string text = to_text(result, suite.requirements, options);
    EXPECT_THAT(text, HasSubstr("1 listed deviations of this version did not show: some-deviation"));
    EXPECT_THAT(text, HasSubstr("Tests: 7 of 10 passed"));
    EXPECT_THAT(text, HasSubstr("READ-DATA (MUST)"));
    EXPECT_THAT(text, HasSubstr("client  request NBD_CMD_READ"));
    EXPECT_THAT(text, HasSubstr("again: nbd-interop check --case read/simple X"));
    EXPECT_THAT(text, ::testing::EndsWith("7 passed, 3 failed, 0 warned, 0 unsupported\n"));
}

} // namespace
} // namespace harness::check
