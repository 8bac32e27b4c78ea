#include "harness/catalogue/expectation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace harness {
namespace {

/// Goes through all combinations of values of the facts named in a table.
template <class Use>
void for_each_combination(const std::vector<const Fact*>& facts, std::size_t at, Facts& values,
                          const Use& use) {
    if (at == facts.size()) {
        use(values);
        return;
    }
    for (const std::string& value : facts[at]->values) {
        values[facts[at]->name] = value;
        for_each_combination(facts, at + 1, values, use);
    }
}

std::string describe(const Facts& values) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : values) {
        parts.push_back(fmt::format("{}={}", name, value));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace

std::string Expectation::describe() const {
    std::vector<std::string> parts;
    if (ok) {
        parts.emplace_back("success");
    }
    if (any_error) {
        parts.emplace_back("any error");
    }
    if (refused) {
        parts.emplace_back("a refusal by the client itself");
    }
    parts.insert(parts.end(), errors.begin(), errors.end());
    return fmt::format("{}", fmt::join(parts, " or "));
}

void check_table(const std::vector<ExpectationRow>& rows, const FactVocabulary& facts,
                 const YamlNode& where) {
    std::set<std::string> names;
    for (const ExpectationRow& row : rows) {
        for (const auto& [name, wanted] : row.when) {
            names.insert(name);
        }
    }
    std::vector<const Fact*> involved;
    for (const std::string& name : names) {
        involved.push_back(facts.find(name));
    }
    Facts values;
    for_each_combination(involved, 0, values, [&](const Facts& combination) {
        const auto meets = std::ranges::count_if(
            rows, [&](const ExpectationRow& row) { return satisfied(row.when, combination); });
        if (meets == 0) {
            where.fail(fmt::format("the table is not total: no row is for {}", describe(combination)));
        }
        if (meets > 1) {
            where.fail(
                fmt::format("the table is ambiguous: {} rows are for {}", meets, describe(combination)));
        }
    });
}

std::string read_rule(const YamlNode& node, const Requirements& requirements) {
    if (!requirements.contains(node.text())) {
        std::vector<std::string> ids;
        for (const auto& [id, requirement] : requirements) {
            ids.push_back(id);
        }
        node.fail(fmt::format("the requirement '{}' is not in the catalogue{}", node.text(),
                              did_you_mean(node.text(), ids)));
    }
    return node.text();
}

std::vector<ExpectationRow> read_rows(YamlMap& map, const FactVocabulary& facts,
                                      const Requirements& requirements, const ReadExpectation& read) {
    std::vector<ExpectationRow> rows;
    const auto plain = map.optional("expect");
    const auto table = map.optional("expect-when");
    if (plain && table) {
        table->fail("a step has either 'expect' or 'expect-when'");
    }
    if (table) {
        for (const YamlNode& item : table->list()) {
            YamlMap row = item.map();
            rows.push_back({facts.conditions(row.required("when"), ""), read(row.required("then")), "",
                            item.position()});
            row.optional("rule",
                         [&](const YamlNode& value) { rows.back().rule = read_rule(value, requirements); });
            row.finish();
        }
        if (rows.empty()) {
            table->fail("a table needs at least one row");
        }
        check_table(rows, facts, *table);
        return rows;
    }
    ExpectationRow row;
    if (plain) {
        row.then = read(*plain);
        row.position = plain->position();
    } else {
        row.then.ok = true;
        row.position = map.node().position();
    }
    rows.push_back(std::move(row));
    return rows;
}

} // namespace harness
