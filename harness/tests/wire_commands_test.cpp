// Transcripts of cases and what can be done with them, as a user does it.

#include "harness/tests/command_line.hpp"
#include "harness/tests/temp_catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* a_case = "good/reference-client/read-start";

/// A run that went well.
class WireCommands : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        line_ = new CommandLine;
        ASSERT_EQ(line_->run_cases().exit.code, 0);
    }
    static void TearDownTestSuite() { delete line_; }

    static Ended run(std::vector<std::string> arguments) { return line_->run(std::move(arguments)); }
    static std::string out() { return line_->out().string(); }
    static std::string transcript() { return (line_->out() / "cases" / a_case / "wire.transcript").string(); }

    static inline CommandLine* line_ = nullptr;
};

TEST_F(WireCommands, EveryCaseHasATranscript) {
    std::size_t cases = 0;
    for (const reports::CaseResult& item : line_->results().cases) {
        if (!item.folder.empty()) {
            EXPECT_TRUE(std::filesystem::exists(line_->out() / item.folder / "wire.transcript")) << item.id;
            ++cases;
        }
    }
    EXPECT_GT(cases, 0U);
}

TEST_F(WireCommands, ShowPrintsTheMessagesOfACase) {
    for (const std::string& what :
         {std::string(a_case), transcript(), std::filesystem::path(transcript()).parent_path().string()}) {
        const Ended ended = run({"show", what, "--out", out()});
        EXPECT_EQ(ended.exit.code, 0) << ended.err;
        EXPECT_THAT(ended.out, StartsWith(std::string(a_case) + "\n"));
        EXPECT_THAT(ended.out, HasSubstr("1 server  newstyle greeting"));
        EXPECT_THAT(ended.out, HasSubstr("1 client  request NBD_CMD_READ"));
        EXPECT_THAT(ended.out, HasSubstr("1 server  closes"));
    }
}

TEST_F(WireCommands, ShowPrintsJsonLines) {
    const Ended ended = run({"show", a_case, "--out", out(), "--json"});
    EXPECT_EQ(ended.exit.code, 0) << ended.err;
    EXPECT_GT(std::ranges::count(ended.out, '\n'), 8);
    EXPECT_THAT(ended.out, StartsWith("{\"at\":"));
}

TEST_F(WireCommands, ACaptureOfACaseIsJudgedAsTheCase) {
    const std::string capture = (*line_ / "case.pcapng").string();
    ASSERT_EQ(run({"show", a_case, "--out", out(), "--pcapng", capture}).exit.code, 0);
    for (const std::string& file : {capture, transcript()}) {
        const Ended ended = run({"judge", file});
        EXPECT_EQ(ended.exit.code, 0) << ended.err;
        EXPECT_EQ(ended.out, "no requirements broken\n");
    }
    const Ended all = run({"judge", capture, "--all"});
    EXPECT_THAT(all.out, HasSubstr("NBD_CMD_READ"));
    const Ended elsewhere = run({"judge", capture, "--port", "10810"});
    EXPECT_EQ(elsewhere.exit.code, 3);
    EXPECT_THAT(elsewhere.err, HasSubstr("--port names the servers' ports"));
}

TEST_F(WireCommands, RulesAreListedOneALine) {
    const Ended ended = run({"list", "rules"});
    EXPECT_EQ(ended.exit.code, 0);
    EXPECT_GE(std::ranges::count(ended.out, '\n'), 120);
}

TEST_F(WireCommands, MistakesAreExplained) {
    const auto refused = [](const std::vector<std::string>& arguments) {
        const Ended ended = run(arguments);
        EXPECT_EQ(ended.exit.code, 2);
        return ended.err;
    };
    EXPECT_THAT(refused({"show", "no/such/case", "--out", out()}), HasSubstr("there is no transcript of it"));
    EXPECT_THAT(refused({"judge", "/etc/hostname"}), HasSubstr("no capture that can be read"));
    EXPECT_THAT(refused({"judge", "/no/such/file"}), HasSubstr("judge /no/such/file"));
    EXPECT_THAT(refused({"explain", "NO-SUCH-RULE"}), HasSubstr("there is no such requirement"));
    EXPECT_THAT(refused({"show", transcript(), "--pcapng", "/no/such/folder/file"}), HasSubstr("--pcapng"));
}

/// What `explain` says of a requirement.
std::string explained(const std::filesystem::path& scenarios, const std::string& requirement) {
    Launch launch;
    launch.argv = {NBD_BIN_DIR "/nbd-interop", "--scenarios", scenarios.string(), "explain", requirement};
    launch.capture_stdout = true;
    Process process = Process::start(launch);
    std::string text;
    while (const auto line = process.read_line(std::chrono::steady_clock::now() + std::chrono::seconds(60))) {
        text += *line + "\n";
    }
    return text;
}

TEST(Explain, SaysWhereARequirementStandsAndWhatTestsIt) {
    const std::string text = explained(NBD_SOURCE_DIR "/scenarios", "RZ-CHUNK-1");
    EXPECT_THAT(text, StartsWith("RZ-CHUNK-1 (MUST, binds both sides)\n"));
    EXPECT_THAT(text, HasSubstr("docs/resize-extension.md, NBD_REPLY_TYPE_RESIZE"));
    EXPECT_THAT(text, HasSubstr("judged in all traffic"));
    EXPECT_THAT(text, HasSubstr("chunk-too-long"));
    EXPECT_THAT(text, Not(HasSubstr("not testable")));
    EXPECT_THAT(text, Not(HasSubstr("two readings")));
}

TEST(Explain, SaysWhatHindersATest) {
    TempCatalogue files;
    files.write("requirements/more.yaml", R"(document: uri.md
requirements:
  HIDDEN: { section: Elsewhere, level: MUST, binds: client, text: t, untestable: An intention., ambiguous: A or B. }
)");
    const std::string text = explained(files.path(), "HIDDEN");
    EXPECT_THAT(text, HasSubstr("the NBD specification, doc/uri.md, Elsewhere\n"));
    EXPECT_THAT(text, HasSubstr("not testable:      An intention.\n"));
    EXPECT_THAT(text, HasSubstr("two readings:      A or B.\n"));
    EXPECT_THAT(text, HasSubstr("the wire judge has no rule for it\n"));
}

} // namespace
} // namespace harness
