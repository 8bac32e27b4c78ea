#pragma once

// Traces as text for people, and as JSON lines for programs.

#include "harness/transcript/trace.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace wire {

/// "MUST" or "SHOULD", for a requirement's identifier.
using LevelOf = std::function<std::string(std::string_view requirement)>;

/// One line for each message, with the violations and the bytes of the message below it. `colour`: for a
/// terminal.
[[nodiscard]] std::string to_text(const Trace& trace, const LevelOf& level, bool colour);

/// One JSON object for each message, on a line of its own.
[[nodiscard]] std::string to_json_lines(const Trace& trace, const LevelOf& level);

} // namespace wire
