#pragma once

// Conditions over columns: what the left side of a decision table is made of.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

class YamlNode;

/// Something with a closed set of values that a condition can name: a knob, a fact, a question.
struct Column {
    std::string name;
    std::vector<std::string> values; ///< at most `max_values`
    bool sizes = false;              ///< sizes in bytes, which may be written in several ways: 1MiB, 1024KiB

    static constexpr std::size_t max_values = 64;
};

/// "The value of this column is one of these."
struct ColumnCondition {
    std::size_t column = 0;   ///< its index among the columns that were read with
    std::uint64_t values = 0; ///< bit N: the value N will do

    [[nodiscard]] bool holds(std::size_t value) const { return (values >> value & 1U) != 0; }
};

/// All of them have to hold; none of them is always true.
using When = std::vector<ColumnCondition>;

/// Reads a map column -> value, list of values, or { not: value or list of values }. Columns and values that
/// there are not are refused with their place and what was perhaps meant; so is a condition that every value
/// satisfies, and one that none does.
[[nodiscard]] When read_when(const YamlNode& node, const std::vector<Column>& columns);

/// The bytes that a size in a table means ("1MiB+100001"); none if the text is no fixed size.
[[nodiscard]] std::optional<std::uint64_t> size_in_bytes(std::string_view text);

/// The index of a value of the column, for sizes of any text that means the same; -1 if there is none.
[[nodiscard]] int find_value(const Column& column, std::string_view text);

/// Which of `values` is `text`; throws a CatalogueError at the node if there is none.
[[nodiscard]] std::size_t read_value(const YamlNode& node, const Column& column);

/// For people: "growth is auto or both".
[[nodiscard]] std::string describe(const ColumnCondition& condition, const std::vector<Column>& columns);
/// For people: "growth is auto or both, advertise is not silent"; "always".
[[nodiscard]] std::string describe(const When& when, const std::vector<Column>& columns);

} // namespace harness
