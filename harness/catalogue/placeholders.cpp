#include "harness/catalogue/placeholders.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace harness {
namespace {

/// The name in a placeholder at the start of `text`, without its braces; empty if there is none.
std::string_view placeholder(std::string_view text) {
    if (!text.starts_with('{')) {
        return {};
    }
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-:", 1);
    if (end == std::string_view::npos || end == 1 || text[end] != '}') {
        return {};
    }
    return text.substr(1, end - 1);
}

} // namespace

std::vector<std::string> placeholders_in(std::string_view text) {
    std::vector<std::string> names;
    for (; !text.empty(); text.remove_prefix(1)) {
        if (const std::string_view name = placeholder(text); !name.empty()) {
            names.emplace_back(name);
        }
    }
    return names;
}

std::string expand(std::string_view text, const Placeholders& values) {
    std::string result;
    while (!text.empty()) {
        const std::string_view name = placeholder(text);
        if (name.empty()) {
            result += text.front();
            text.remove_prefix(1);
            continue;
        }
        const auto found = values.texts.find(std::string(name));
        if (found == values.texts.end()) {
            throw std::invalid_argument(fmt::format("the placeholder {{{}}} is not known here", name));
        }
        result += found->second;
        text.remove_prefix(name.size() + 2);
    }
    return result;
}

std::vector<std::string> expand(const std::vector<std::string>& command, const Placeholders& values) {
    std::vector<std::string> result;
    for (const std::string& word : command) {
        const std::string_view name = placeholder(word);
        const auto list =
            name.size() + 2 == word.size() ? values.lists.find(std::string(name)) : values.lists.end();
        if (list == values.lists.end()) {
            result.push_back(expand(std::string_view(word), values));
            continue;
        }
        for (const std::string& item : list->second) {
            result.push_back(expand(std::string_view(item), values));
        }
    }
    return result;
}

} // namespace harness
