#pragma once

// The parts of the catalogue, in files of their own.

#include "faults/catalogue.hpp"

#include <vector>

namespace faults {

using Table = std::vector<Fault>;

[[nodiscard]] Table greeting_faults();
[[nodiscard]] Table reply_faults();
[[nodiscard]] Table client_request_faults();
[[nodiscard]] Table reply_oddities();
[[nodiscard]] Table failure_oddities();

} // namespace faults
