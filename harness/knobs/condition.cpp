#include "harness/knobs/condition.hpp"

#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace harness {
namespace {

/// The bits of all values that a scalar or a list names.
std::uint64_t read_values(const YamlNode& node, const Column& column) {
    std::uint64_t bits = 0;
    const std::vector<YamlNode> items = node.is_list() ? node.list() : std::vector<YamlNode>{node};
    if (items.empty()) {
        node.fail(fmt::format("no value of {} is here; its values are {}", column.name,
                              fmt::join(column.values, ", ")));
    }
    for (const YamlNode& item : items) {
        const std::uint64_t bit = std::uint64_t{1} << read_value(item, column);
        if ((bits & bit) != 0) {
            item.fail(fmt::format("'{}' stands here a second time", item.text()));
        }
        bits |= bit;
    }
    return bits;
}

std::uint64_t all_values(const Column& column) {
    return column.values.size() == Column::max_values ? ~std::uint64_t{0}
                                                      : (std::uint64_t{1} << column.values.size()) - 1;
}

} // namespace

std::optional<std::uint64_t> size_in_bytes(std::string_view text) {
    if (text.find("size") != std::string_view::npos) {
        return std::nullopt; // a share of an export's size, where scenarios take one
    }
    try {
        return SizeExpression::parse(text).evaluate(0);
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
}

int find_value(const Column& column, std::string_view text) {
    const auto same = std::ranges::find(column.values, text);
    if (same != column.values.end()) {
        return static_cast<int>(same - column.values.begin());
    }
    if (column.sizes) {
        if (const auto bytes = size_in_bytes(text)) {
            const auto equal = std::ranges::find_if(
                column.values, [&](const std::string& value) { return size_in_bytes(value) == bytes; });
            if (equal != column.values.end()) {
                return static_cast<int>(equal - column.values.begin());
            }
        }
    }
    return -1;
}

std::size_t read_value(const YamlNode& node, const Column& column) {
    const std::string text = node.text();
    const int found = find_value(column, text);
    if (found < 0) {
        const std::string hint = did_you_mean(text, column.values);
        node.fail(fmt::format("'{}' is no value of {}{}; its values are {}", text, column.name, hint,
                              fmt::join(column.values, ", ")));
    }
    return static_cast<std::size_t>(found);
}

When read_when(const YamlNode& node, const std::vector<Column>& columns) {
    When when;
    for (const auto& [name, value] : node.entries()) {
        const auto found = std::ranges::find(columns, name, &Column::name);
        if (found == columns.end()) {
            std::vector<std::string> names;
            for (const Column& column : columns) {
                if (column.name.ends_with("." + name)) {
                    value.fail_at_key(fmt::format("'{}' is a knob of several sides; say which, as in '{}'",
                                                  name, column.name));
                }
                names.push_back(column.name);
            }
            value.fail_at_key(fmt::format("'{}' is nothing that a condition can name here{}", name,
                                          did_you_mean(name, names)));
        }
        ColumnCondition condition;
        condition.column = static_cast<std::size_t>(found - columns.begin());
        if (value.is_map()) {
            YamlMap map = value.map();
            condition.values = all_values(*found) & ~read_values(map.required("not"), *found);
            map.finish();
        } else {
            condition.values = read_values(value, *found);
        }
        if (condition.values == 0) {
            value.fail(fmt::format("no value of {} is left; this can never hold", name));
        }
        if (condition.values == all_values(*found)) {
            value.fail(fmt::format("these are all values of {}; leave the condition out", name));
        }
        when.push_back(condition);
    }
    return when;
}

std::string describe(const ColumnCondition& condition, const std::vector<Column>& columns) {
    const Column& column = columns.at(condition.column);
    const std::uint64_t left_out = all_values(column) & ~condition.values;
    const bool negated = column.values.size() > 2 && std::has_single_bit(left_out);
    std::vector<std::string> values;
    for (std::size_t value = 0; value < column.values.size(); ++value) {
        if (condition.holds(value) != negated) {
            values.push_back(column.values[value]);
        }
    }
    return fmt::format("{} is {}{}", column.name, negated ? "not " : "", fmt::join(values, " or "));
}

std::string describe(const When& when, const std::vector<Column>& columns) {
    std::vector<std::string> parts;
    for (const ColumnCondition& condition : when) {
        parts.push_back(describe(condition, columns));
    }
    return parts.empty() ? "always" : fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace harness
