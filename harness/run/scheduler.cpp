#include "harness/run/scheduler.hpp"

#include "harness/process/in_parallel.hpp"
#include "harness/run/fact_book.hpp"

#include <algorithm>
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
    in_parallel(
        jobs, count, [&](std::size_t index) { results[index] = one(index); },
        [&](std::size_t done, std::size_t index) { on_case(done, results[index]); });
    return results;
}

std::vector<reports::CaseResult> run_cases(const std::vector<Case>& cases, const RunPlace& place,
                                           unsigned jobs, const OnCase& on_case) {
    FactBook facts(place);
    return run_parallel(
        cases.size(), jobs, [&](std::size_t index) { return run_case(cases[index], place, facts); }, on_case);
}

} // namespace harness
