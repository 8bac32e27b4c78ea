#pragma once

// Twists that clients choose by the name of the export, "fault=NAME" or "oddity=NAME".

#include "faults/catalogue.hpp"

namespace faults {

/// Does nothing until an option names an export; then, for the rest of the connection, what the name says.
[[nodiscard]] Recipe chosen_by_name();

/// The server fault or oddity that an export name asks for; null if there is none.
[[nodiscard]] const Fault* named_in(std::string_view export_name);

} // namespace faults
