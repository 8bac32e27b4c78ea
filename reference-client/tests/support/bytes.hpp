#pragma once

// Bytes as the specification writes them, and the ways in which they may arrive.

#include "protocol/codec.hpp"

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace refclient::testing {

/// The bytes of hexadecimal digits; spaces are ignored.
[[nodiscard]] nbd::Buffer hex(std::string_view digits);

/// The digits of bytes, for messages.
[[nodiscard]] std::string to_hex(nbd::Bytes bytes);

/// A way to cut a stream into the parts that arrive together.
struct Fragmentation {
    std::string name;
    std::function<std::vector<nbd::Bytes>(nbd::Bytes)> cut;
};

/// Whole, byte by byte, and several random ones that are the same in each run.
[[nodiscard]] const std::vector<Fragmentation>& fragmentations();

} // namespace refclient::testing
