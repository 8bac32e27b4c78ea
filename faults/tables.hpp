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
[[nodiscard]] Table tls_faults();
[[nodiscard]] Table baseline_faults();
[[nodiscard]] Table next_client_faults();
[[nodiscard]] Table two_export_faults();
[[nodiscard]] Table payload_faults();
[[nodiscard]] Table size_faults();
[[nodiscard]] Table flag_faults();
[[nodiscard]] Table resize_faults();
[[nodiscard]] Table faults_for_clients();

// ---- what clients do wrongly
[[nodiscard]] Table client_request_faults();

// ---- what servers do oddly
[[nodiscard]] Table handshake_oddities();
[[nodiscard]] Table tls_oddities();
[[nodiscard]] Table two_export_oddities();
[[nodiscard]] Table context_oddities();
[[nodiscard]] Table reply_oddities();
[[nodiscard]] Table size_oddities();
[[nodiscard]] Table failure_oddities();
[[nodiscard]] Table oddities_for_clients();

} // namespace faults
