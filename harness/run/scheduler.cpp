#include "harness/run/scheduler.hpp"

#include "harness/process/errors.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/run/fact_book.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace harness {

unsigned default_jobs() {
    // A case mostly waits for two processes to talk, so more of them than processors are worth while.
    return 2 * std::max(1U, std::thread::hardware_concurrency());
}

std::vector<reports::CaseResult> run_parallel(std::size_t count, unsigned jobs,
                                              const std::function<reports::CaseResult(std::size_t)>& one,
                                              const OnCase& on_case) {
    std::vector<reports::CaseResult> results(count);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::size_t done = 0;
    bool interrupted = false;
    const auto work = [&] {
        for (std::size_t index = next++; index < count; index = next++) {
            try {
                results[index] = one(index);
            } catch (const Interrupted&) {
                const std::scoped_lock lock(mutex);
                interrupted = true;
                return;
            }
            const std::scoped_lock lock(mutex);
            on_case(++done, results[index]);
        }
    };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < std::max(1U, jobs); ++i) {
            threads.emplace_back(work);
        }
    }
    if (interrupted) {
        throw Interrupted();
    }
    return results;
}

std::vector<reports::CaseResult> run_cases(const std::vector<Case>& cases, const RunPlace& place,
                                           unsigned jobs, const OnCase& on_case) {
    FactBook facts(place);
    return run_parallel(
        cases.size(), jobs, [&](std::size_t index) { return run_case(cases[index], place, facts); }, on_case);
}

} // namespace harness
