#pragma once

// The cases for clients, tried on broken clients: does each notice something, and is everything noticed?

#include "harness/check/client_suite.hpp"

#include <string>
#include <vector>

namespace harness::check {

/// What came of a fault of the reference client.
struct SelfRow {
    ListedFault fault;
    std::vector<std::string> noticed; ///< cases that fail with the fault and pass without it
    std::vector<std::string> tried;   ///< the cases that could have noticed it
};

/// Which case notices which fault.
struct SelfTable {
    std::vector<SelfRow> rows;
    std::vector<std::string> untripped; ///< cases that no fault trips

    /// Every fault is noticed, and every case is tripped.
    [[nodiscard]] bool whole() const;
};

/// Runs `nbd-resize-client --fault NAME` for each of its faults, with every command that it has, against the
/// cases that test or judge the requirement which the fault breaks. `suite.command` gives the limits only.
/// Throws Interrupted, LaunchError, std::runtime_error.
[[nodiscard]] SelfTable check_clients_themselves(const ClientSuite& suite,
                                                 const std::vector<ClientCase>& cases);

} // namespace harness::check
