#include "harness/catalogue/values.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace harness {

SizeExpression read_size(const YamlNode& node) {
    try {
        return SizeExpression::parse(node.text());
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

std::uint64_t evaluate_at(const SizeExpression& expression, std::uint64_t size, const Position& position) {
    try {
        return expression.evaluate(size);
    } catch (const std::invalid_argument& error) {
        throw CatalogueError(position, error.what());
    }
}

std::string read_word(const YamlNode& node, const std::vector<std::string>& allowed) {
    if (!node.is_scalar()) {
        node.fail(fmt::format("one of {} is expected here", fmt::join(allowed, ", ")));
    }
    std::string word = node.text();
    if (std::ranges::find(allowed, word) == allowed.end()) {
        node.fail(fmt::format("'{}' is not one of {}{}", word, fmt::join(allowed, ", "),
                              did_you_mean(word, allowed)));
    }
    return word;
}

std::vector<std::string> read_words(const YamlNode& node, const std::vector<std::string>& allowed) {
    if (node.is_scalar()) {
        return {read_word(node, allowed)};
    }
    std::vector<std::string> result;
    for (const YamlNode& word : node.list()) {
        result.push_back(read_word(word, allowed));
    }
    if (result.empty()) {
        node.fail(fmt::format("at least one of {} is expected here", fmt::join(allowed, ", ")));
    }
    return result;
}

} // namespace harness
