#pragma once

// Knobs as text: in export names, "growth=both,learn=notify,size=1MiB", and on the command line.

#include "reference-server/resize/knobs.hpp"

#include <string>
#include <string_view>

namespace refserver {

/// Sets one knob. Throws std::invalid_argument with a message that says what is wrong and what is allowed.
void set_knob(KnobSettings& settings, std::string_view key, std::string_view value);

/// The knobs that an export name sets; none for the empty name. Throws std::invalid_argument like `set_knob`,
/// also for a knob that is set twice.
[[nodiscard]] KnobSettings parse_knob_name(std::string_view name);

/// The values of a knob, for people: "none, explicit, auto or both".
[[nodiscard]] std::string knob_values(std::string_view key);

} // namespace refserver
