#pragma once

#include "harness/catalogue/deviation.hpp"
#include "harness/run/versions.hpp"
#include "reports/result.hpp"

#include <string>
#include <vector>

namespace harness {

/// Marks the findings that are listed deviations.
void mark_deviations(const std::vector<Deviation>& deviations, const Versions& versions,
                     std::vector<reports::CaseResult>& cases);

/// The deviations that these cases could have shown, none of which did: their peers took part in a version of
/// the range and carried out one of their scenarios.
[[nodiscard]] std::vector<reports::StaleDeviation>
stale_deviations(const std::vector<Deviation>& deviations, const Versions& versions,
                 const std::vector<reports::CaseResult>& cases);

/// Adds to a run what the list says about the deviations that its findings name.
void quote_deviations(const std::vector<Deviation>& deviations, reports::RunResult& run);

/// Adds to a run what the catalogue says about the requirements that its findings name.
void quote_requirements(const Requirements& requirements, reports::RunResult& run);

} // namespace harness
