#include "harness/cli/exit_code.hpp"

#include "reports/result.hpp"

#include <algorithm>

namespace harness {

ExitCode exit_code(const reports::RunResult& run) {
    using reports::Verdict;
    const bool executed = std::ranges::any_of(
        run.cases, [](const reports::CaseResult& item) { return item.verdict != Verdict::unsupported; });
    if (!executed) {
        return exit_nothing;
    }
    const bool as_expected = std::ranges::all_of(run.cases, [](const reports::CaseResult& item) {
        return item.verdict == Verdict::pass || item.verdict == Verdict::unsupported ||
               item.known_deviation();
    });
    return as_expected && run.stale.empty() ? exit_ok : exit_red;
}

} // namespace harness
