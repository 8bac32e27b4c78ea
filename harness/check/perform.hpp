#pragma once

// One conformance case on one connection (or several) to a server.

#include "harness/check/server_case.hpp"
#include "reports/result.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace harness::check {

/// What came of a case.
struct Performance {
    std::vector<reports::Finding> findings;
    std::string unsupported;                 ///< why the case does not apply; empty if it does
    std::vector<wire::Violation> violations; ///< what the judge saw the server break
    wire::Transcript transcript;
    bool unreachable = false; ///< no connection could be made, or nothing came on it: findings say why
    bool late = false;        ///< something was waited for in vain
    bool shut_down = false;   ///< the case has told the server to shut down
    bool broke_off = false;   ///< the server closed a connection where the case did not expect that
};

/// Why a case does not apply to a server, in a style of replies if it starts in the transmission phase; empty
/// if it applies.
[[nodiscard]] std::string not_applicable(const ServerCase& made, Style style, const ServerFacts& server);

/// Carries out a case. `patience` is for each answer; the whole takes no more than four times as long. Throws
/// Interrupted.
[[nodiscard]] Performance perform(const ServerCase& made, Style style, const ServerFacts& server,
                                  const Requirements& requirements, std::chrono::milliseconds patience);

} // namespace harness::check
