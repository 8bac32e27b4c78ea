#include "harness/process/in_parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace harness {

void in_parallel(unsigned jobs, std::size_t count, const std::function<void(std::size_t index)>& work,
                 const std::function<void(std::size_t done, std::size_t index)>& after) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex; // for what follows
    std::size_t done = 0;
    std::exception_ptr trouble;
    const auto loop = [&] {
        try {
            for (std::size_t index = next++; index < count; index = next++) {
                work(index);
                const std::scoped_lock lock(mutex);
                ++done;
                if (after) {
                    after(done, index);
                }
            }
        } catch (...) {
            const std::scoped_lock lock(mutex);
            trouble = trouble ? trouble : std::current_exception();
            next = count;
        }
    };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < std::max(1U, jobs); ++i) {
            threads.emplace_back(loop);
        }
    }
    if (trouble) {
        std::rethrow_exception(trouble);
    }
}

} // namespace harness
