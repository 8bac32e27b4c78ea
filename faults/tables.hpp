#pragma once

// The parts of the catalogue, in files of their own.

#include "faults/catalogue.hpp"

#include <initializer_list>
#include <vector>

namespace faults {

using Table = std::vector<Fault>;

/// The entries of all of them, in this order.
[[nodiscard]] Table joined(std::initializer_list<Table (*)()> parts);

// ---- what servers do wrongly
[[nodiscard]] Table greeting_faults();
[[nodiscard]] Table option_faults();
[[nodiscard]] Table export_faults();
[[nodiscard]] Table information_faults();
[[nodiscard]] Table context_faults();
[[nodiscard]] Table reply_faults();
[[nodiscard]] Table error_faults();
[[nodiscard]] Table read_faults();
[[nodiscard]] Table command_faults();
[[nodiscard]] Table bounds_faults();
[[nodiscard]] Table status_faults();
[[nodiscard]] Table ending_faults();

// ---- what clients do wrongly
[[nodiscard]] Table client_request_faults();

// ---- what servers do oddly
[[nodiscard]] Table handshake_oddities();
[[nodiscard]] Table context_oddities();
[[nodiscard]] Table reply_oddities();
[[nodiscard]] Table size_oddities();
[[nodiscard]] Table failure_oddities();

} // namespace faults
