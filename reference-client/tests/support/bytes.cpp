#include "reference-client/tests/support/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace refclient::testing {
namespace {

std::vector<nbd::Bytes> cut_randomly(nbd::Bytes bytes, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<nbd::Bytes> parts;
    while (!bytes.empty()) {
        const std::size_t size = std::min<std::size_t>(1 + random() % 24, bytes.size());
        parts.push_back(bytes.first(size));
        bytes = bytes.subspan(size);
    }
    return parts;
}

} // namespace

nbd::Buffer hex(std::string_view digits) {
    nbd::Buffer bytes;
    bool high = true;
    for (const char c : digits) {
        if (c == ' ' || c == '\n') {
            continue;
        }
        const auto value = std::string_view("0123456789abcdef").find(c);
        if (value == std::string_view::npos) {
            throw std::invalid_argument(fmt::format("no hexadecimal digit: {}", c));
        }
        if (high) {
            bytes.push_back(static_cast<std::uint8_t>(value << 4));
        } else {
            bytes.back() = static_cast<std::uint8_t>(bytes.back() | value);
        }
        high = !high;
    }
    if (!high) {
        throw std::invalid_argument("half a byte");
    }
    return bytes;
}

std::string to_hex(nbd::Bytes bytes) {
    std::string digits;
    for (const std::uint8_t byte : bytes) {
        digits += fmt::format("{:02x}", byte);
    }
    return digits;
}

const std::vector<Fragmentation>& fragmentations() {
    static const std::vector<Fragmentation> all = [] {
        std::vector<Fragmentation> result;
        result.push_back({"whole", [](nbd::Bytes bytes) { return std::vector{bytes}; }});
        result.push_back({"byte by byte", [](nbd::Bytes bytes) {
                              std::vector<nbd::Bytes> parts;
                              for (std::size_t i = 0; i < bytes.size(); ++i) {
                                  parts.push_back(bytes.subspan(i, 1));
                              }
                              return parts;
                          }});
        for (unsigned seed = 1; seed <= 5; ++seed) {
            result.push_back({fmt::format("random {}", seed),
                              [seed](nbd::Bytes bytes) { return cut_randomly(bytes, seed); }});
        }
        return result;
    }();
    return all;
}

} // namespace refclient::testing
