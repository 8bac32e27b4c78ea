#include "harness/process/janitor.hpp"
#include "harness/process/marker.hpp"
#include "harness/process/tests/support.hpp"
#include "harness/process/workspace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

// The test's runner program, and what it said that it made.
class JanitorTest : public ::testing::Test {
  protected:
    JanitorTest()
      : runner(Process::start(launch())) {
        while (const auto line = runner.read_line(generous_deadline())) {
            const std::string value = line->substr(line->find(' ') + 1);
            if (line->starts_with("janitor "))
                janitor = std::stoi(value);
            else if (line->starts_with("workspace "))
                workspace = value;
            else if (line->starts_with("process "))
                processes.push_back(std::stoi(value));
            if (*line == "ready")
                break;
        }
    }

    ~JanitorTest() override { kill_marked(run_id(), generous); }

    void SetUp() override {
        ASSERT_TRUE(alive(janitor));
        ASSERT_TRUE(fs::exists(workspace / "case" / "socket"));
        ASSERT_EQ(processes.size(), 4U);
        ASSERT_TRUE(std::all_of(processes.begin(), processes.end(), alive));
    }

    static Launch launch() {
        Launch launch = peer({"runner"});
        launch.pipe_stdin = true;
        return launch;
    }

    [[nodiscard]] bool all_gone() const {
        return !fs::exists(workspace) && !alive(janitor) &&
               std::none_of(processes.begin(), processes.end(), alive);
    }

    Process runner;
    pid_t janitor = 0;
    fs::path workspace;
    std::vector<pid_t> processes;
};

TEST_F(JanitorTest, CleansUpAfterAKilledRunner) {
    runner.kill(SIGKILL);
    EXPECT_EQ(runner.wait_for(generous)->signal, SIGKILL);
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, CleansUpAfterACrashedRunner) {
    runner.kill(SIGSEGV);
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, IsNotMetBySignalsToTheRunner) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
        ::kill(janitor, signal);
    runner.kill_group(SIGKILL);
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, HasANameAndASessionOfItsOwn) {
    const std::string proc = "/proc/" + std::to_string(janitor) + "/";
    EXPECT_EQ(read_file(proc + "comm"), "nbdi-janitor\n");
    const std::string line = read_file(proc + "cmdline");
    EXPECT_EQ(line.substr(0, line.find('\0')), "nbdi-janitor");
    EXPECT_EQ(line.find("peer"), std::string::npos) << line;
    EXPECT_EQ(::getsid(janitor), janitor);
    std::vector<std::string> descriptors;
    for (const auto& entry : fs::directory_iterator(proc + "fd"))
        descriptors.push_back(entry.path().filename().string());
    EXPECT_THAT(descriptors, ::testing::UnorderedElementsAre("0", "1", "2", "3"));
}

TEST_F(JanitorTest, IsSparedByTheSweepOfAnOuterRun) {
    // This test is the outer run. The runner and its children are killed, not their janitor, which cleans up.
    EXPECT_TRUE(kill_marked(run_id(), generous).clean);
    EXPECT_FALSE(runner.running());
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, FindsTheDaemonAfterANormalEnd) {
    runner.write_line("finish");
    // The daemon left its group: it is the one thing that the runner's own handles cannot reach.
    EXPECT_EQ(runner.read_line(generous_deadline()), "leftovers true 0 true");
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, CleansUpForARunnerThatDoesNot) {
    runner.write_line("leak");
    EXPECT_EQ(runner.read_line(generous_deadline()), "leftovers true 1 true");
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST_F(JanitorTest, RunnerCleansUpItselfIfTheJanitorIsKilled) {
    ::kill(janitor, SIGKILL);
    ASSERT_TRUE(eventually([this] { return !alive(janitor); }));
    runner.write_line("leak");
    EXPECT_EQ(runner.read_line(generous_deadline()), "leftovers true 1 true");
    EXPECT_TRUE(eventually([this] { return all_gone(); }));
}

TEST(Workspace, IsPrivateShortAndRemoved) {
    fs::path path;
    {
        Workspace workspace;
        path = workspace.path();
        struct stat info {};
        ASSERT_EQ(::stat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0700U);
        EXPECT_LE(path.native().size(), 60U);
        std::ofstream(path / "file") << "text";
        fs::create_symlink("/", path / "root");
    }
    EXPECT_FALSE(fs::exists(path));
    EXPECT_TRUE(fs::exists("/")); // the link was removed, not followed
}

TEST(Workspace, FoldersAreUniqueAndSafe) {
    Workspace workspace;
    const fs::path first = workspace.make_folder("a/../b c");
    const fs::path second = workspace.make_folder("a/../b c");
    const fs::path third = workspace.make_folder("a-very-long-name-of-a-case");
    EXPECT_EQ(first, workspace.path() / "a----b-c");
    EXPECT_EQ(second, workspace.path() / "a----b-c.2");
    EXPECT_EQ(third.filename(), "a-very-long-");
    EXPECT_EQ(workspace.make_folder("").filename(), "case");
    EXPECT_TRUE(fs::is_directory(first) && fs::is_directory(second));
    EXPECT_TRUE(workspace.remove_folder(first));
    EXPECT_FALSE(fs::exists(first));
    EXPECT_EQ(workspace.make_folder("a/../b c"), first) << "a free name is used again";
    EXPECT_THROW(workspace.remove_folder("/tmp"), std::invalid_argument);
}

TEST(Workspace, IsRemovedEvenIfMadeUnreadable) {
    // Meaningful for an ordinary user only: nothing is unreadable for root.
    fs::path path;
    {
        Workspace workspace;
        path = workspace.path();
        const fs::path folder = workspace.make_folder("closed");
        std::ofstream(folder / "file") << "text";
        ::chmod(folder.c_str(), 0);
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(Workspace, IsRemovedEvenIfSomethingIsMountedInIt) {
    Workspace workspace;
    const fs::path folder = workspace.make_folder("mounts");
    const fs::path place = folder / "two words";
    fs::create_directory(place);
    if (::mount("none", place.c_str(), "tmpfs", 0, "size=64k") != 0)
        GTEST_SKIP() << "mounting needs root: " << std::strerror(errno);
    std::ofstream(place / "file") << "x";
    std::ifstream in_use(place / "file");
    EXPECT_TRUE(workspace.remove_folder(folder));
    EXPECT_FALSE(fs::exists(folder));
    // It was unmounted, not emptied.
    std::string text;
    EXPECT_TRUE(in_use >> text);
}

TEST(Workspace, GoesWhereTmpdirSaysUnlessThatIsTooLong) {
    Workspace outer;
    const char* const old = std::getenv("TMPDIR");
    const std::string saved = old ? old : "";
    ::setenv("TMPDIR", outer.path().c_str(), 1);
    EXPECT_EQ(Workspace().path().parent_path(), outer.path());
    const fs::path deep = outer.path() / std::string(50, 'd');
    fs::create_directory(deep);
    ::setenv("TMPDIR", deep.c_str(), 1);
    EXPECT_EQ(Workspace().path().parent_path(), "/tmp");
    ::setenv("TMPDIR", (outer.path() / "missing").c_str(), 1);
    EXPECT_THROW(Workspace(), fs::filesystem_error);
    if (old)
        ::setenv("TMPDIR", saved.c_str(), 1);
    else
        ::unsetenv("TMPDIR");
}

} // namespace
} // namespace harness
