#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// What {placeholders} of a peer file stand for.
struct Placeholders {
    std::map<std::string, std::string> texts;
    /// A word that is only the placeholder of a list becomes the words of the list, possibly none.
    std::map<std::string, std::vector<std::string>> lists;
};

/// The names of the placeholders in a text, in their order.
[[nodiscard]] std::vector<std::string> placeholders_in(std::string_view text);

/// The command with its placeholders filled in, those inside of lists included. Throws std::invalid_argument
/// for one that is not known.
[[nodiscard]] std::vector<std::string> expand(const std::vector<std::string>& command,
                                              const Placeholders& values);

/// The text with its placeholders filled in. A brace that does not enclose a lower-case name stays as it is.
[[nodiscard]] std::string expand(std::string_view text, const Placeholders& values);

} // namespace harness
