#pragma once

#include <string_view>

namespace refserver {

/// True if the text is what the protocol calls a string: UTF-8 without NUL, at most 4096 bytes
/// (Conventions).
[[nodiscard]] bool is_protocol_string(std::string_view text);

} // namespace refserver
