#include "harness/catalogue/glob.hpp"

#include <fmt/format.h>

#include <fnmatch.h>

namespace harness {

bool glob_match(std::string_view pattern, std::string_view text) {
    std::string plain; // without the meaning that fnmatch() gives to brackets
    for (const char character : pattern) {
        plain += character == '[' ? "[[]" : std::string(1, character);
    }
    return fnmatch(plain.c_str(), std::string(text).c_str(), FNM_NOESCAPE) == 0;
}

std::string label(const std::string& peer, const std::string& variant) {
    return variant == "default" ? peer : fmt::format("{}+{}", peer, variant);
}

bool selects(const std::string& pattern, const std::string& peer, const std::string& variant) {
    return pattern.find('+') == std::string::npos ? glob_match(pattern, peer)
                                                  : glob_match(pattern, fmt::format("{}+{}", peer, variant));
}

} // namespace harness
