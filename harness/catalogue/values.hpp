#pragma once

// Values in the catalogue's YAML: sizes, and words of a closed set. All throw CatalogueError with the place.

#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace harness {

/// An expression such as "size-4KiB".
[[nodiscard]] SizeExpression read_size(const YamlNode& node);

/// The expression's value, in bytes, where the export has `size`; out of range is a mistake at its place.
std::uint64_t evaluate_at(const SizeExpression& expression, std::uint64_t size, const Position& position);

/// One of a closed set of words.
std::string read_word(const YamlNode& node, const std::vector<std::string>& allowed);

/// At least one of a closed set of words.
[[nodiscard]] std::vector<std::string> read_words(const YamlNode& node,
                                                  const std::vector<std::string>& allowed);

} // namespace harness
