#include "harness/process/output.hpp"
#include "harness/process/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class OutputTest : public ::testing::Test {
  protected:
    std::filesystem::path log() const { return workspace.path() / "log"; }
    Workspace workspace;
};

TEST_F(OutputTest, LinesComeOneByOne) {
    Process child = Process::start(shell("echo one; echo; printf 'two\\nunfinished'"));
    for (const char* line : {"one", "", "two", "unfinished"})
        EXPECT_EQ(child.read_line(generous_deadline()), line);
    EXPECT_EQ(child.read_line(generous_deadline()), std::nullopt);
    EXPECT_EQ(child.read_line(generous_deadline()), std::nullopt) << "and it stays so";
}

TEST_F(OutputTest, SilenceMeetsTheDeadline) {
    Process child = Process::start(shell("printf partial; exec sleep 1000"));
    EXPECT_THROW(child.read_line(Process::Clock::now() + 20ms), TimedOut);
    EXPECT_TRUE(eventually(
        [&, text = std::string()]() mutable { return (text += child.take_output()) == "partial"; }));
    EXPECT_THROW(child.read_line(Process::Clock::now() - 1s), TimedOut);
    EXPECT_TRUE(child.running());
}

TEST_F(OutputTest, ConversationByLines) {
    Launch launch = capturing({"cat"});
    launch.pipe_stdin = true;
    Process child = Process::start(launch);
    for (int i = 0; i < 100; ++i) {
        child.write_line("line " + std::to_string(i));
        ASSERT_EQ(child.read_line(generous_deadline()), "line " + std::to_string(i));
    }
    child.close_stdin();
    EXPECT_EQ(child.read_line(generous_deadline()), std::nullopt);
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false}));
    EXPECT_THROW(child.write_line("too late"), PeerGone);
}

TEST_F(OutputTest, ConversationByPrompts) {
    Launch launch =
        shell("printf 'io> '; while read line; do echo \"did $line\"; printf 'io> '; done; printf bye");
    launch.pipe_stdin = true;
    Process child = Process::start(launch);
    EXPECT_EQ(child.read_until("io> ", generous_deadline()), "io> ");
    child.write_line("a");
    EXPECT_EQ(child.read_until("io> ", generous_deadline()), "did a\nio> ");
    EXPECT_THROW(child.read_until("io> ", Process::Clock::now() + 10ms), TimedOut);
    child.close_stdin();
    EXPECT_EQ(child.read_until("io> ", generous_deadline()), std::nullopt);
    EXPECT_EQ(child.take_output(), "bye");
}

TEST_F(OutputTest, ChildThatDoesNotReadMeetsTheDeadline) {
    Launch launch = capturing({"sleep", "1000"});
    launch.pipe_stdin = true;
    Process child = Process::start(launch);
    EXPECT_THROW(child.write_line(std::string(std::size_t{4} << 20, 'x'), 20ms), TimedOut);
}

TEST_F(OutputTest, ChildThatIsGoneDoesNotRead) {
    Launch launch = capturing({"sh", "-c", "exit 7"});
    launch.pipe_stdin = true;
    Process child = Process::start(launch);
    ASSERT_TRUE(child.wait_for(generous));
    try {
        child.write_line("hello");
        ADD_FAILURE() << "written";
    } catch (const PeerGone& error) {
        EXPECT_THAT(error.what(), HasSubstr("exited with 7"));
    }
}

TEST_F(OutputTest, EndsWithTheChildNotWithItsDescendants) {
    Process child = Process::start(peer({"output-open"}));
    EXPECT_EQ(child.read_line(generous_deadline()), "last line");
    EXPECT_EQ(child.read_line(generous_deadline()), std::nullopt);
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false}));
}

TEST_F(OutputTest, CapturedOutputIsRead) {
    // More than a pipe holds, while nobody asks for it.
    Process child = Process::start(shell("head -c 3000000 /dev/zero"));
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false}));
    EXPECT_EQ(child.take_output().size(), 3000000U);
    EXPECT_EQ(child.take_output(), "");
}

TEST_F(OutputTest, CapturedOutputIsReadOnAfterALine) {
    // Two pieces come while they are waited for, so that the background thread meets the first one in the
    // middle of the reading; the rest comes while nobody asks.
    Process child =
        Process::start(shell("sleep 0.1; printf li; sleep 0.1; echo ne; head -c 3000000 /dev/zero"));
    EXPECT_EQ(child.read_line(generous_deadline()), "line");
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false}));
    EXPECT_EQ(child.take_output().size(), 3000000U);
}

TEST_F(OutputTest, CapturedOutputHasItsLimit) {
    Launch launch = shell("head -c 300000 /dev/zero; echo end");
    launch.output_limit = 100000;
    Process child = Process::start(launch);
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false})) << "it is not kept from ending";
    EXPECT_THROW(child.take_output(), OutputOverflow);
    EXPECT_THROW(child.read_line(generous_deadline()), OutputOverflow);
}

TEST_F(OutputTest, EndlessCapturedOutputIsAnErrorNotAHang) {
    Launch launch = capturing({"yes", std::string(1000, 'y')});
    launch.output_limit = 1 << 20;
    Process child = Process::start(launch);
    EXPECT_THROW(
        {
            while (child.read_until("no such marker", generous_deadline())) {
            }
        },
        OutputOverflow);
    EXPECT_TRUE(child.running());
}

TEST_F(OutputTest, LogGetsBothStreamsInOrder) {
    Launch launch;
    launch.argv = {"sh", "-c", "echo out; echo err >&2; echo out again"};
    launch.log = log();
    std::ofstream(log()) << "before\n";
    Process child = Process::start(launch);
    ASSERT_TRUE(child.wait_for(generous));
    EXPECT_EQ(read_file(log()), "before\nout\nerr\nout again\n");
    EXPECT_EQ(child.error_tail(10), "out again\n");
    EXPECT_EQ(child.error_tail(1000), "out\nerr\nout again\n") << "only this child's own";
}

TEST_F(OutputTest, LogGetsErrorsOnlyIfOutputIsCaptured) {
    Launch launch = shell("echo out; echo err >&2");
    launch.log = log();
    EXPECT_EQ(output_of(launch), "out\n");
    EXPECT_EQ(read_file(log()), "err\n");
}

TEST_F(OutputTest, LogIsWrittenWhileNobodyWaits) {
    Launch launch;
    launch.argv = {"sh", "-c", "echo started; exec sleep 1000"};
    launch.log = log();
    const Process child = Process::start(launch);
    EXPECT_TRUE(eventually([this] { return read_file(log()) == "started\n"; }));
}

TEST_F(OutputTest, LogHasItsLimitAndSaysSo) {
    Launch launch;
    launch.argv = {"yes"};
    launch.log = log();
    launch.log_limit = 100001;
    Process child = Process::start(launch);
    const auto size = [this] { return read_file(log()).size(); };
    ASSERT_TRUE(eventually([&] { return size() > launch.log_limit; }));
    // It writes on, and is read: only so does it show that the rest goes nowhere.
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(child.running());
    child.stop(generous);
    const std::string text = read_file(log());
    EXPECT_EQ(text.substr(99999, 2), "\ny");
    EXPECT_THAT(text.substr(100001), ::testing::AllOf(StartsWith("\n[nbd-interop: more than 100001 bytes"),
                                                      EndsWith("dropped]\n")));
    EXPECT_LT(text.size(), 100200U);
}

TEST_F(OutputTest, LogOfExactlyTheLimitIsWhole) {
    Launch launch;
    launch.argv = {"printf", "12345678"};
    launch.log = log();
    launch.log_limit = 8;
    ASSERT_TRUE(Process::start(launch).wait_for(generous));
    EXPECT_EQ(read_file(log()), "12345678");
}

TEST_F(OutputTest, FullLogDoesNotStopTheOthers) {
    Launch loud;
    loud.argv = {"yes"};
    loud.log = log();
    loud.log_limit = 1000;
    Process noise = Process::start(loud);
    Launch launch;
    launch.argv = {"sh", "-c", "head -c 500000 /dev/zero; echo done >&2"};
    launch.log = workspace.path() / "other";
    Process child = Process::start(launch);
    EXPECT_EQ(child.wait_for(generous), (Exit{0, 0, false}));
    EXPECT_EQ(read_file(launch.log).size(), 500005U);
    EXPECT_TRUE(noise.running());
}

TEST_F(OutputTest, WithoutALogOutputGoesNowhere) {
    Launch launch;
    launch.argv = {"sh", "-c", "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >" + log().string()};
    Process child = Process::start(launch);
    ASSERT_TRUE(child.wait_for(generous));
    EXPECT_EQ(read_file(log()), "/dev/null\n" + log().string() + "\n/dev/null\n");
    EXPECT_EQ(child.error_tail(100), "");
    EXPECT_THROW(child.take_output(), std::logic_error);
    EXPECT_THROW(child.read_line(generous_deadline()), std::logic_error);
}

} // namespace
} // namespace harness
