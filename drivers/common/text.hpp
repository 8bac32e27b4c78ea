#pragma once

// Text that comes from outside and has to become part of a JSON line.

#include <string>
#include <string_view>

namespace driver {

/// `text` as UTF-8: each byte that is no part of a well-formed sequence becomes U+FFFD. A server may send any
/// bytes as an export's name or as an error message.
[[nodiscard]] std::string to_utf8(std::string_view text);

} // namespace driver
