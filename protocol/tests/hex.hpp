#pragma once

#include "protocol/codec.hpp"

#include <cctype>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nbd::test {

/// The bytes that hexadecimal digits stand for; blanks separate fields for the reader. A part in single
/// quotes is text.
inline Buffer hex(std::string_view text) {
    Buffer bytes;
    bool quoted = false;
    std::string digits;
    for (const char c : text) {
        if (c == '\'') {
            quoted = !quoted;
        } else if (quoted) {
            bytes.push_back(static_cast<std::uint8_t>(c));
        } else if (c != ' ') {
            digits += c;
            if (digits.size() == 2) {
                bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits, nullptr, 16)));
                digits.clear();
            }
        }
    }
    if (quoted || !digits.empty()) {
        throw std::invalid_argument("half a byte or an open quote");
    }
    return bytes;
}

} // namespace nbd::test
