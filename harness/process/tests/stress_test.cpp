#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/tests/support.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

namespace harness {
namespace {

using namespace testing_support;

constexpr int threads = 8;
constexpr int starts_per_thread = 200;

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// One child of many: a random mixture of everything a child may be given. Returns what is wrong with it.
std::string try_one(const std::filesystem::path& folder, int number) {
    // The shell's own look into the directory uses the lowest free descriptor, hence one more than it was
    // given.
    Launch launch = shell("echo log >&2; for f in /proc/self/fd/*; do printf '%s ' ${f##*/}; done; exit " +
                          std::to_string(number % 256));
    launch.pipe_stdin = number % 2 == 0;
    if (number % 3 == 0)
        launch.log = folder / ("log" + std::to_string(number % 30));
    Listener listener;
    if (number % 5 == 0) {
        listener = listen_tcp();
        launch.listen_fd = listener.fd.get();
    }
    Process child = Process::start(launch);
    const auto exit = child.wait_for(generous);
    const std::string output = child.take_output();
    if (!exit || *exit != Exit{number % 256, 0, false})
        return exit ? exit->describe() : "does not end";
    if (output != (number % 5 == 0 ? "0 1 2 3 4 " : "0 1 2 3 "))
        return "descriptors " + output;
    if (number % 3 == 0 && child.error_tail(4) != "log\n")
        return "log: " + child.error_tail(100);
    return "";
}

TEST(Stress, ManyThreadsStartManyChildren) {
    Workspace workspace;
    output_of(shell("true")); // what is made once is made by now
    const std::size_t before = open_descriptors();

    std::atomic<int> done{0};
    std::mutex mutex;
    std::vector<std::string> problems;
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t)
        pool.emplace_back([&, t] {
            const auto folder = workspace.make_folder("thread");
            for (int i = 0; i < starts_per_thread; ++i) {
                const std::string problem = try_one(folder, t * starts_per_thread + i);
                ++done;
                if (problem.empty())
                    continue;
                const std::lock_guard guard(mutex);
                problems.push_back(problem);
            }
        });
    for (std::thread& thread : pool)
        thread.join();

    EXPECT_EQ(done, threads * starts_per_thread);
    EXPECT_TRUE(problems.empty()) << problems.size() << ", the first: " << problems.front();
    EXPECT_EQ(open_descriptors(), before) << "descriptors were leaked";
}

} // namespace
} // namespace harness
