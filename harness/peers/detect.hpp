#pragma once

#include "harness/catalogue/peer.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace harness {

/// The version of an installed peer, or why there is none.
struct Detected {
    std::optional<std::string> version;
    std::string problem; ///< "nbdkit is not installed (…)"
};

/// Runs the peer's version command. `programs` is the folder of the project's own programs, {bin}.
[[nodiscard]] Detected detect(const Peer& peer, const std::filesystem::path& programs);

} // namespace harness
