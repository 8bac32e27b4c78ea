#pragma once

#include <string>
#include <string_view>

namespace harness {

/// True if the text matches the pattern, in which * stands for any characters and ? for one.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text);

/// "nbdkit" for the default variant, "nbdkit+no-sr" for another one.
[[nodiscard]] std::string label(const std::string& peer, const std::string& variant);

/// True if a pattern selects a peer's variant: without a '+' it is held against the peer's name and takes all
/// its variants, with one against name and variant; "nbdkit+default" is only the default.
[[nodiscard]] bool selects(const std::string& pattern, const std::string& peer, const std::string& variant);

} // namespace harness
