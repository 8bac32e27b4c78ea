#include "harness/process/in_parallel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace harness {
namespace {

TEST(InParallel, DoesEachOnceAndTellsOfIt) {
    constexpr std::size_t count = 100;
    for (const unsigned jobs : {0U, 1U, 8U}) {
        std::vector<std::atomic<int>> times(count);
        std::vector<std::size_t> order;
        std::set<std::size_t> told;
        in_parallel(
            jobs, count, [&](std::size_t index) { ++times[index]; },
            [&](std::size_t done, std::size_t index) {
                order.push_back(done);
                told.insert(index);
            });
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(times[i], 1) << i;
            EXPECT_EQ(order.at(i), i + 1);
        }
        EXPECT_EQ(told.size(), count);
    }
}

TEST(InParallel, UsesSeveralThreads) {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    std::atomic<int> inside{0};
    in_parallel(2, 2, [&](std::size_t) {
        ++inside;
        while (inside < 2) { // ends only if the other one has begun, too
            std::this_thread::yield();
        }
        const std::scoped_lock lock(mutex);
        threads.insert(std::this_thread::get_id());
    });
    EXPECT_EQ(threads.size(), 2U);
}

TEST(InParallel, EndsWithTheFirstException) {
    std::atomic<std::size_t> begun{0};
    const auto run = [&] {
        in_parallel(1, 100, [&](std::size_t index) {
            ++begun;
            if (index == 3) {
                throw std::runtime_error("the fourth");
            }
        });
    };
    EXPECT_THAT(run, ::testing::ThrowsMessage<std::runtime_error>("the fourth"));
    EXPECT_EQ(begun, 4U);
}

TEST(InParallel, OfNothingDoesNothing) {
    in_parallel(4, 0, [](std::size_t) { FAIL(); });
}

} // namespace
} // namespace harness
