#include "harness/catalogue/words.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

namespace harness {

const std::vector<std::string>& request_flag_words() {
    static const std::vector<std::string> words{"fua", "df", "no-hole", "fast", "req-one"};
    return words;
}

const std::vector<std::string>& transmission_flag_words() {
    static const std::vector<std::string> words{"read-only", "flush",        "fua",   "rotational",
                                                "trim",      "write-zeroes", "df",    "multi-conn",
                                                "cache",     "fast-zero",    "resize"};
    return words;
}

void check_name(const std::string& name, const YamlNode& node, bool is_key) {
    constexpr const char* allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (name.empty() || name.front() == '.' || name.find_first_not_of(allowed) != std::string::npos) {
        const std::string message =
            fmt::format("'{}' cannot be a name; names are of letters, digits, '-', '_' and '.'", name);
        is_key ? node.fail_at_key(message) : node.fail(message);
    }
}

} // namespace harness
