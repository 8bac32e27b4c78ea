#pragma once

// What has to come of a step, and the tables that say so for every kind of server and client.

#include "harness/catalogue/facts.hpp"
#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace harness {

/// What a successful read must return.
enum class DataRule {
    model, ///< what the model of the disk says; bytes that it calls unknown may be anything
    zeroes,
    any, ///< only where a scenario records what comes
};

/// What may come of a step. At least one of `ok`, `errors`, `any_error`, `refused` is set.
struct Expectation {
    bool ok = false;
    bool any_error = false;
    bool refused = false;         ///< the client itself says that it cannot, and sends nothing
    std::set<std::string> errors; ///< symbolic names, "EINVAL"

    // What must hold of a success.
    DataRule data = DataRule::model;
    std::optional<SizeExpression> size; ///< connect, info, grow, learn
    bool size_held = false;             ///< the size is the one that the last grow or learn told
    std::string way;                    ///< grow, learn: by which way it was done; empty: any
    std::vector<std::string> flags_set; ///< connect, info: these transmission flags
    std::vector<std::string> flags_clear;
    bool block_sizes_valid = false; ///< connect, info: the advertised block sizes are possible ones
    bool lists_export = false;      ///< list: the server's export is in it
    bool extents_truthful = false;  ///< map: in order, without gaps, and zero only where zeroes are read
    bool one_extent = false;        ///< map: besides, exactly one, no longer than the request

    /// For people: "ENOSPC", "success or EINVAL".
    [[nodiscard]] std::string describe() const;
};

/// A row of a decision table.
struct ExpectationRow {
    Conditions when; ///< empty: always
    Expectation then;
    std::string rule; ///< the requirement that is broken if this is not met; empty: the step's
    Position position;
};

/// The identifier of a requirement that the catalogue has; any other is refused at its place.
[[nodiscard]] std::string read_rule(const YamlNode& node, const Requirements& requirements);

/// Reads what `expect`, or `then` in a row of a table, says.
using ReadExpectation = std::function<Expectation(const YamlNode&)>;

/// Reads `expect`, or the checked table `expect-when`, of a step; without either, success is expected.
[[nodiscard]] std::vector<ExpectationRow> read_rows(YamlMap& map, const FactVocabulary& facts,
                                                    const Requirements& requirements,
                                                    const ReadExpectation& read);

/// Checks that every combination of the facts that the rows name meets exactly one row. Throws CatalogueError
/// that names a combination which meets none or several.
void check_table(const std::vector<ExpectationRow>& rows, const FactVocabulary& facts, const YamlNode& where);

} // namespace harness
