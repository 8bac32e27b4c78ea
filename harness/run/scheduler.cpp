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

std::vector<reports::CaseResult> run_cases(const std::vector<Case>& cases, const RunPlace& place,
                                           unsigned jobs, const OnCase& on_case) {
    std::vector<reports::CaseResult> results(cases.size());
    FactBook facts(place);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::size_t done = 0;
    bool interrupted = false;
    const auto work = [&] {
        for (std::size_t index = next++; index < cases.size(); index = next++) {
            try {
                results[index] = run_case(cases[index], place, facts);
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

} // namespace harness
