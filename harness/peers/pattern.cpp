#include "harness/peers/pattern.hpp"

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cstring>

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
    constexpr std::size_t word_size = sizeof(std::uint64_t);
    std::size_t at = 0;
    while (at < bytes.size()) {
        const std::uint64_t place = offset + at;
        const std::size_t skip = place % word_size;
        // The pattern is the same on every machine: the lowest byte of a word comes first.
        const std::uint64_t value = boost::endian::native_to_little(word(place / word_size, seed));
        std::uint8_t memory[word_size];
        std::memcpy(memory, &value, word_size);
        const std::size_t length = std::min(word_size - skip, bytes.size() - at);
        if (length == word_size) {
            std::memcpy(bytes.data() + at, memory,
                        word_size); // by far the most common way, and a single store
        } else {
            std::memcpy(bytes.data() + at, memory + skip, length);
        }
        at += length;
    }
}

} // namespace harness
