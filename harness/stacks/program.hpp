#pragma once

#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/client.hpp"
#include "harness/stacks/suite.hpp"

#include <filesystem>

namespace harness {

/// Runs a program that does one step, to its end; its words go to `log`, its command to
/// client-commands.txt beside that. The error is named as the tool says, or by its words on standard error.
/// Throws TimedOut, ClientDied if a signal ended it, LaunchError.
[[nodiscard]] ClientOutcome run_tool(const Tool& tool, const Placeholders& values,
                                     const std::filesystem::path& log, Deadline deadline);

} // namespace harness
