#pragma once

#include <iosfwd>
#include <span>
#include <string>

namespace refserver {

/// A conversation from docs/resize-extension.md.
struct ResizeCase {
    const char* name;
    const char* covers; ///< statements, with spaces between them
    std::string knobs;
    const char* script; ///< for `play`
};

void PrintTo(const ResizeCase& c, std::ostream* out);

[[nodiscard]] std::span<const ResizeCase> resize_cases();

} // namespace refserver
