#pragma once

// What the checks of servers and of clients do with their results.

#include "harness/check/server_suite.hpp"
#include "harness/check/text_report.hpp"
#include "harness/cli/commands.hpp"
#include "harness/cli/exit_code.hpp"

namespace harness {

/// Makes warnings failures where the user is strict, writes the files that were asked for, prints the result,
/// and says with which exit code it ends. `text.colour` is settled here.
[[nodiscard]] ExitCode finish_check(const CheckOptions& options, const Requirements& requirements,
                                    check::SuiteResult result, check::TextOptions text);

} // namespace harness
