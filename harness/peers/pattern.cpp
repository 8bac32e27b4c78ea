#include "harness/peers/pattern.hpp"

namespace harness {
namespace {

/// The eight bytes at word `index` of the disk: splitmix64 of place and seed, which has no visible structure.
std::uint64_t word(std::uint64_t index, std::uint64_t seed) {
    std::uint64_t value = index + seed * 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

} // namespace

void fill_pattern(std::span<std::uint8_t> bytes, std::uint64_t offset, std::uint64_t seed) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        const std::uint64_t place = offset + at;
        std::uint64_t value = word(place / 8, seed) >> (8 * (place % 8));
        for (std::uint64_t i = place % 8; i < 8 && at < bytes.size(); ++i, ++at) {
            bytes[at] = static_cast<std::uint8_t>(value);
            value >>= 8;
        }
    }
}

} // namespace harness
