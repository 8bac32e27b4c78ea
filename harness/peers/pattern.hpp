#pragma once

#include <cstdint>
#include <span>

namespace harness {

/// Fills `bytes`, which lie at `offset` of a disk, with the pattern of `seed`. Every byte depends on its
/// place, so that data which end up elsewhere are noticed.
void fill_pattern(std::span<std::uint8_t> bytes, std::uint64_t offset, std::uint64_t seed);

} // namespace harness
