#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/catalogue/scenario.hpp"

#include <cstdint>
#include <filesystem>

namespace harness {

/// The seed of the pattern with which a filled export begins.
inline constexpr std::uint64_t initial_seed = 1;

/// In a sparse export, every second stretch of this many bytes is a hole, the first one is data.
inline constexpr std::uint64_t sparse_stretch = 64U * 1024;

/// Writes the image of an export: as long as the setup says, with its content, in the format asked for.
/// Throws std::system_error, or std::runtime_error with what the converter said.
void make_image(const std::filesystem::path& file, Image format, const ExportSetup& setup,
                const std::filesystem::path& scratch);

} // namespace harness
