#include "harness/process/launch.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Reason = LaunchError::Reason;

class LaunchTest : public ::testing::Test {
  protected:
    std::filesystem::path write_file(const std::string& name, const std::string& text, unsigned mode) {
        const auto path = workspace.path() / name;
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }

    static void expect_error(const Launch& launch, Reason reason, const std::string& text) {
        try {
            Process::start(launch);
            ADD_FAILURE() << "started: " << launch.command_line();
        } catch (const LaunchError& error) {
            EXPECT_EQ(error.reason(), reason) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(text));
        }
    }

    Workspace workspace;
};

TEST_F(LaunchTest, ErrorsSayWhatIsWrong) {
    const auto plain = write_file("plain", "#!/bin/sh\n", 0644);
    const auto orphan = write_file("orphan", "#!/no/such/interpreter\n", 0755);
    const auto garbage = write_file("garbage",
                                    "\x7f"
                                    "ELF, but not really",
                                    0755);
    expect_error(capturing({}), Reason::not_found, "no command");
    expect_error(capturing({"nbd-no-such-program"}), Reason::not_found,
                 "nbd-no-such-program: not found in PATH");
    expect_error(capturing({"/no/such/program"}), Reason::not_found, "/no/such/program: no such file");
    expect_error(capturing({plain.string()}), Reason::not_executable, "not an executable file");
    expect_error(capturing({workspace.path().string()}), Reason::not_executable, "not an executable file");
    expect_error(capturing({orphan.string()}), Reason::not_executable, "interpreter is missing");
    expect_error(capturing({garbage.string()}), Reason::not_executable, garbage.string());

    Launch launch = capturing({"plain"});
    launch.env["PATH"] = workspace.path().string();
    expect_error(launch, Reason::not_executable, plain.string());

    launch = capturing({"true"});
    launch.cwd = "/no/such/directory";
    expect_error(launch, Reason::bad_directory, "/no/such/directory");
    launch.cwd.clear();
    launch.log = "/no/such/directory/log";
    expect_error(launch, Reason::bad_log, "/no/such/directory/log");
}

TEST_F(LaunchTest, OutOfDescriptorsIsAnErrorAndLeavesNothing) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the undefined behaviour sanitizer needs descriptors itself, to look at exceptions";
#endif
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int used = [] {
        const UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        return next.get();
    }();
    Process::start(capturing({"true"})).stop(generous); // what is made once is made by now
    int refused = 0;
    for (rlim_t spare = 0; spare < 16; ++spare) {
        rlimit tight = before;
        tight.rlim_cur = static_cast<rlim_t>(used) + spare;
        ::setrlimit(RLIMIT_NOFILE, &tight);
        try {
            EXPECT_EQ(Process::start(capturing({"true"})).stop(generous).code, 0);
        } catch (const LaunchError& error) {
            ++refused;
            EXPECT_EQ(error.reason(), Reason::resources) << error.what();
        }
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_GT(refused, 0);
    EXPECT_LT(refused, 16);
    const UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_LE(next.get(), used + 4) << "descriptors were leaked";
}

TEST_F(LaunchTest, ProgramIsLookedUpInPath) {
    const auto script = write_file("my-program", "#!/bin/sh\necho mine\n", 0755);
    EXPECT_EQ(find_program("my-program", {{"PATH", "/nowhere:" + workspace.path().string()}}), script);
    EXPECT_EQ(find_program(script.string()), script);
    EXPECT_TRUE(find_program("sh").is_absolute());
    Launch launch = capturing({"my-program"});
    launch.env["PATH"] = workspace.path().string();
    EXPECT_EQ(output_of(launch), "mine\n");
}

TEST_F(LaunchTest, EnvironmentIsAddedTo) {
    ::setenv("NBD_TEST_KEPT", "kept", 1);
    ::setenv("NBD_TEST_REPLACED", "old", 1);
    ::setenv("LISTEN_FDS", "7", 1);
    Launch launch = shell("echo \"$NBD_TEST_KEPT/$NBD_TEST_REPLACED/$NBD_TEST_NEW/${LISTEN_FDS-none}\"; "
                          "env | grep -c ^NBD_TEST_REPLACED=");
    launch.env = {{"NBD_TEST_REPLACED", "new"}, {"NBD_TEST_NEW", "a=b c"}};
    EXPECT_EQ(output_of(launch), "kept/new/a=b c/none\n1\n");
    ::unsetenv("LISTEN_FDS");
}

TEST_F(LaunchTest, WorkingDirectory) {
    Launch launch = shell("pwd");
    launch.cwd = workspace.path();
    EXPECT_EQ(output_of(launch), workspace.path().string() + "\n");
}

TEST_F(LaunchTest, ArgumentsArriveUnchanged) {
    EXPECT_EQ(output_of(capturing({"printf", "[%s]", "a b", "", "c'\"$x"})), "[a b][][c'\"$x]");
}

TEST_F(LaunchTest, DescriptorsOfTheParentStayThere) {
    const UniqueFd kept(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd careless(::open("/dev/null", O_RDONLY)); // as a library might
    Launch launch = peer({"descriptors"});
    EXPECT_EQ(output_of(launch), "0\n1\n2\n");
    launch.pipe_stdin = true;
    launch.log = workspace.path() / "log";
    EXPECT_EQ(output_of(launch), "0\n1\n2\n");
    const Listener listener = listen_tcp();
    launch.listen_fd = listener.fd.get();
    EXPECT_EQ(output_of(launch), "0\n1\n2\n3\n");
}

TEST_F(LaunchTest, SocketActivation) {
    const Listener listener = listen_unix(workspace.path() / "socket");
    // Also a socket that has the number already which it is to get.
    const UniqueFd saved(::fcntl(3, F_DUPFD_CLOEXEC, 100));
    ASSERT_EQ(::dup3(listener.fd.get() == 3 ? saved.get() : listener.fd.get(), 3, O_CLOEXEC), 3);
    for (const int fd : {listener.fd.get(), 3}) {
        Launch launch = peer({"activation"});
        launch.listen_fd = fd;
        Process child = Process::start(launch);
        const std::string pid = std::to_string(child.pid());
        ASSERT_TRUE(child.wait_for(generous));
        EXPECT_EQ(child.take_output(),
                  "LISTEN_PID=" + pid + "\nLISTEN_FDS=1\nLISTEN_FDNAMES=nbd\npid=" + pid + "\nlistening=1\n");
    }
    if (saved.valid())
        ::dup3(saved.get(), 3, O_CLOEXEC);
    else
        ::close(3);
}

TEST_F(LaunchTest, SignalsAreAtTheirDefaults) {
    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    auto* const old = ::signal(SIGUSR2, SIG_IGN);
    EXPECT_EQ(output_of(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status")),
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    ::signal(SIGUSR2, old);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(LaunchTest, LimitsAreSet) {
    Launch launch = capturing({"cat", "/proc/self/limits"});
    launch.file_size = 12345;
    launch.address_space = std::uint64_t{1} << 30;
    const std::string limits = output_of(launch);
    EXPECT_THAT(limits, ContainsRegex("Max core file size +[01] "));
    EXPECT_THAT(limits, ContainsRegex("Max file size +12345 "));
    EXPECT_THAT(limits, ContainsRegex("Max address space +1073741824 "));
}

TEST(CommandLine, IsQuotedWhereNeeded) {
    EXPECT_EQ(capturing({"qemu-io", "-c", "read 0 1", "it's", ""}).command_line(),
              "qemu-io -c 'read 0 1' 'it'\\''s' ''");
}

} // namespace
} // namespace harness
