#pragma once

// Making few cases of many: those of one released peer and scenario that came out alike with many
// configurations of the other side.

#include "harness/knobs/knobs.hpp"
#include "reports/result.hpp"

#include <string>
#include <vector>

namespace harness {

/// The cases with this peer on the configured side, which the others are left without.
[[nodiscard]] std::vector<reports::CaseResult> taken_out(std::vector<reports::CaseResult>& cases,
                                                         Side configured, const std::string& peer);

/// The cases of released peers with a configured one on this side. Those of a released peer and a scenario
/// that passed become one, and those that were unsupported, or deviated as is listed, for the same reason; it
/// says for how many configurations it stands and counts what they observed. Every other case stays one of
/// its own. `members`: those that passed name what they stand for, and listed deviations stay apart.
[[nodiscard]] std::vector<reports::CaseResult> roll_up(std::vector<reports::CaseResult> cases,
                                                       Side configured, bool members);

/// Released peer by scenario: with how many configurations it went as it should, and what was observed.
[[nodiscard]] reports::EvidenceTable released_table(const std::vector<reports::CaseResult>& cases,
                                                    Side configured, const std::string& title,
                                                    const std::string& about);

} // namespace harness
