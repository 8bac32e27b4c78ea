#pragma once

#include "harness/run/case_runner.hpp"
#include "harness/run/selection.hpp"
#include "reports/result.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace harness {

/// How many cases at a time are worth while on this machine.
[[nodiscard]] unsigned default_jobs();

/// Called after every case, from one thread at a time: how many are done, and the last one's result.
using OnCase = std::function<void(std::size_t done, const reports::CaseResult& result)>;

/// Runs `count` cases, `jobs` at a time (at least 1): `one` runs that of an index, and several at a time are
/// called. The results are in the order of the indices. Throws Interrupted once the user asked for the end
/// and every case under way was given up.
[[nodiscard]] std::vector<reports::CaseResult>
run_parallel(std::size_t count, unsigned jobs, const std::function<reports::CaseResult(std::size_t)>& one,
             const OnCase& on_case);

/// Runs the cases, `jobs` at a time (at least 1). The results are in the order of the cases. Throws
/// Interrupted once the user asked for the end and every case under way was given up.
[[nodiscard]] std::vector<reports::CaseResult>
run_cases(const std::vector<Case>& cases, const RunPlace& place, unsigned jobs, const OnCase& on_case);

} // namespace harness
