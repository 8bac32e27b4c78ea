#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/peers/client.hpp"

#include <string_view>

namespace harness {

/// Reads the result of an operation from what a program printed, as its peer file says. Throws
/// std::runtime_error if the output is not of that form. A hex dump is written to `into`.
[[nodiscard]] ClientResult read_output(const ResultTemplate& result, std::string_view output,
                                       const std::filesystem::path& into);

} // namespace harness
