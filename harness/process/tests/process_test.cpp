#include "harness/process/exit_watch.hpp"
#include "harness/process/marker.hpp"
#include "harness/process/process.hpp"
#include "harness/process/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <poll.h>
#include <sys/wait.h>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;

struct ExitCase {
    std::vector<std::string> argv;
    Exit expected;
    std::string text;
};

class ExitTest : public ::testing::TestWithParam<ExitCase> {};

TEST_P(ExitTest, IsToldAsItWas) {
    Process child = Process::start(capturing(GetParam().argv));
    const auto exit = child.wait_for(generous);
    ASSERT_TRUE(exit);
    EXPECT_EQ(*exit, GetParam().expected);
    EXPECT_EQ(exit->describe(), GetParam().text);
    EXPECT_FALSE(child.running());
    EXPECT_EQ(child.stop(0ms), GetParam().expected) << "stop() tells the same again";
    EXPECT_EQ(child.wait_for(0ms), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Process, ExitTest,
    ::testing::Values(ExitCase{{"true"}, {0, 0, false}, "exited with 0"},
                      ExitCase{{"false"}, {1, 0, false}, "exited with 1"},
                      ExitCase{{"sh", "-c", "exit 255"}, {255, 0, false}, "exited with 255"},
                      ExitCase{{"sh", "-c", "kill -TERM $$"}, {0, SIGTERM, false}, "killed by SIGTERM"},
                      // A core dump would be told as such: there must be none.
                      ExitCase{{PROCESS_TEST_PEER, "die-by", "11"}, {0, SIGSEGV, false}, "killed by SIGSEGV"},
                      ExitCase{{"sh", "-c", "kill -40 $$"}, {0, 40, false}, "killed by signal 40"}));

TEST(Process, RunsUntilItIsStopped) {
    Process child = Process::start(capturing({"sleep", "1000"}));
    EXPECT_TRUE(child.running());
    EXPECT_FALSE(child.wait_for(1ms));
    const pid_t pid = child.pid();
    EXPECT_EQ(child.stop(generous).signal, SIGTERM);
    EXPECT_FALSE(alive(pid));
}

TEST(Process, ThatIgnoresTermIsKilledAfterTheGrace) {
    Process child = Process::start(peer({"ignore-term"}));
    ASSERT_EQ(child.read_line(generous_deadline()), "ready");
    EXPECT_EQ(child.stop(10ms).signal, SIGKILL);
    EXPECT_FALSE(alive(child.pid()));
}

TEST(Process, ThatIsStoppedStillGetsItsTerm) {
    Process child = Process::start(shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"));
    ASSERT_EQ(child.read_line(generous_deadline()), "ready");
    child.kill(SIGSTOP);
    EXPECT_EQ(child.stop(generous).code, 5);
}

TEST(Process, EndsWithItsHandle) {
    pid_t pid = 0;
    {
        Process child = Process::start(peer({"ignore-term"}));
        ASSERT_EQ(child.read_line(generous_deadline()), "ready");
        pid = child.pid();
        Process moved = std::move(child);
        EXPECT_TRUE(moved.running());
        EXPECT_TRUE(alive(pid));
    }
    EXPECT_FALSE(alive(pid));
}

TEST(Process, TakesItsGroupAlong) {
    Process child = Process::start(peer({"group-member"}));
    const auto line = child.read_line(generous_deadline());
    ASSERT_TRUE(line);
    const pid_t member = std::stoi(*line);
    ASSERT_EQ(child.wait_for(generous)->code, 3);
    EXPECT_TRUE(alive(member)) << "waiting for the leader kills nobody";
    EXPECT_EQ(child.stop(1h).code, 3);
    EXPECT_TRUE(eventually([member] { return !alive(member); }));
}

TEST(Process, LeadsItsOwnGroup) {
    Process child = Process::start(peer({"group"}));
    const std::string pid = std::to_string(child.pid());
    EXPECT_EQ(child.read_line(generous_deadline()), pid + " " + pid);
}

TEST(Process, DaemonIsFoundByItsMark) {
    Launch launch = peer({"daemon"});
    const std::string mark = run_id() + "-daemon-test";
    launch.env["NBD_INTEROP_TEST_MARK"] = mark;
    Process child = Process::start(launch);
    const auto line = child.read_line(generous_deadline());
    ASSERT_TRUE(line);
    const pid_t daemon = std::stoi(*line);
    child.stop(generous);
    EXPECT_TRUE(alive(daemon)) << "it left the group, which is what makes this test one";

    EXPECT_EQ(kill_marked("NBD_INTEROP_TEST_MARK", mark + "x", generous).killed, 0U);
    EXPECT_TRUE(alive(daemon));
    const Sweep sweep = kill_marked("NBD_INTEROP_TEST_MARK", mark, generous);
    EXPECT_GE(sweep.killed, 1U) << "what started it may be there as well, at its end";
    EXPECT_TRUE(sweep.clean);
    EXPECT_FALSE(alive(daemon));
}

TEST(Process, CarriesTheRunsMark) {
    const std::string value = output_of(shell("printf %s \"$NBD_INTEROP_RUN\""));
    EXPECT_EQ(value, run_value());
    EXPECT_THAT(value, HasSubstr(run_id()));
    Process child = Process::start(capturing({"sleep", "1000"}));
    EXPECT_GE(kill_marked(run_id(), generous).killed, 1U);
    EXPECT_EQ(child.wait_for(generous)->signal, SIGKILL);
}

TEST(Process, DiesWithItsParentProcess) {
    // The parent is the test's runner program without its janitor, both killed; its direct child has to
    // follow.
    Launch launch = peer({"runner"});
    launch.pipe_stdin = true;
    Process runner = Process::start(launch);
    pid_t janitor = 0, child = 0;
    std::filesystem::path workspace;
    while (const auto line = runner.read_line(generous_deadline())) {
        if (line->starts_with("janitor "))
            janitor = std::stoi(line->substr(8));
        if (line->starts_with("process ") && child == 0)
            child = std::stoi(line->substr(8));
        if (line->starts_with("workspace "))
            workspace = line->substr(10);
        if (*line == "ready")
            break;
    }
    ASSERT_TRUE(alive(janitor) && alive(child));
    ::kill(janitor, SIGKILL);
    runner.kill(SIGKILL);
    EXPECT_TRUE(eventually([child] { return !alive(child); }));
    kill_marked(run_id(), generous);
    remove_tree(workspace);
}

// Where the kernel has no pidfds a thread stands in for them; both ways have to tell the same.
TEST(ExitWatch, BothWaysTellTheEnd) {
    for (const bool with_thread : {false, true}) {
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            ::pause();
            ::_exit(0);
        }
        const UniqueFd watch = with_thread ? watch_with_thread(pid) : open_pidfd(pid);
        ASSERT_TRUE(watch.valid());
        pollfd watched{watch.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&watched, 1, 20), 0) << "it still runs";
        ::kill(pid, SIGKILL);
        EXPECT_EQ(::poll(&watched, 1, 60000), 1);
        int status = 0;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid) << "watching does not reap";
        EXPECT_TRUE(WIFSIGNALED(status));
    }
}

TEST(Interrupt, EndsWaitsAndStartsNothingMore) {
    Process runner = Process::start(peer({"interruptible"}));
    ASSERT_EQ(runner.read_line(generous_deadline()), "ready");
    runner.kill(SIGINT);
    EXPECT_EQ(runner.read_line(generous_deadline()), "interrupted 2");
    EXPECT_EQ(runner.read_line(generous_deadline()), "starts nothing");
    EXPECT_EQ(runner.read_line(generous_deadline()), "killed by SIGTERM");
    EXPECT_EQ(runner.wait_for(generous), (Exit{0, 0, false}));
}

TEST(Interrupt, SecondOneEndsAtOnce) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        Process runner = Process::start(peer({"interruptible", "stubborn"}));
        ASSERT_EQ(runner.read_line(generous_deadline()), "ready");
        // One request that arrives twice. Of two kinds, as two of a kind may be merged on the way.
        runner.kill(SIGTERM);
        runner.kill(SIGHUP);
        ASSERT_THAT(runner.read_line(generous_deadline()),
                    Optional(AnyOf(Eq("interrupted 15"), Eq("interrupted 1"))));
        EXPECT_TRUE(runner.running());
        std::this_thread::sleep_for(500ms); // a person takes longer than the two above
        runner.kill(signal);
        EXPECT_EQ(runner.wait_for(generous), (Exit{128 + signal, 0, false}));
    }
}

} // namespace
} // namespace harness
