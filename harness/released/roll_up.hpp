#pragma once

// Making few cases of many: those of one client and scenario that came out alike on many configurations.

#include "reports/result.hpp"

#include <vector>

namespace harness {

/// The cases of released clients on configured servers. Those of a client and a scenario that passed become
/// one, and those that were unsupported for the same reason; it says for how many configurations it stands
/// and counts what they observed. Every other case stays one of its own. `members`: the former name what they
/// stand for.
[[nodiscard]] std::vector<reports::CaseResult> roll_up(std::vector<reports::CaseResult> cases, bool members);

/// Client by scenario: on how many configurations it went as it should, and what was observed.
[[nodiscard]] reports::EvidenceTable released_clients_table(const std::vector<reports::CaseResult>& cases);

} // namespace harness
