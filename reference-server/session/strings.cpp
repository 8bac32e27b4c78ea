#include "reference-server/session/strings.hpp"

#include "protocol/numbers.hpp"

#include <cstdint>

namespace refserver {
namespace {

/// The length of the UTF-8 sequence at the start of `text`; 0 if it is none. Overlong forms, surrogates and
/// what is beyond U+10FFFF are none.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&text](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) {
        return first != 0 ? 1 : 0;
    }
    std::size_t length = 0;
    std::uint8_t lowest = 0x80;
    std::uint8_t highest = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        lowest = first == 0xe0 ? 0xa0 : lowest;
        highest = first == 0xed ? 0x9f : highest;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        lowest = first == 0xf0 ? 0x90 : lowest;
        highest = first == 0xf4 ? 0x8f : highest;
    } else {
        return 0;
    }
    if (text.size() < length || byte(1) < lowest || byte(1) > highest) {
        return 0;
    }
    for (std::size_t at = 2; at < length; ++at) {
        if ((byte(at) & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

} // namespace

bool is_protocol_string(std::string_view text) {
    if (text.size() > nbd::max_string) {
        return false;
    }
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

} // namespace refserver
