#pragma once

#include "harness/exhaustive/lives.hpp"
#include "reports/result.hpp"

#include <vector>

namespace harness {

/// The cases of a run of lives: one for each server configuration, for all its lives that were as expected,
/// and one of its own for each life that was not. With `members` the former name the lives that they stand
/// for.
[[nodiscard]] std::vector<reports::CaseResult> life_cases(const LifeSuite& suite, const Knobs& knobs,
                                                          const Oracle& oracle, const Lives& lives,
                                                          bool members);

} // namespace harness
