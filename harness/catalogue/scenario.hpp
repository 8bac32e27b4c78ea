#pragma once

// Scenarios as data: steps that a client carries out on a server, and what has to come of each.

#include "harness/catalogue/facts.hpp"
#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace harness {

/// What a step does. Up to `finish` they are the client's operations, as in docs/driver-protocol.md.
enum class StepKind {
    connect,
    info,
    list,
    read,
    write,
    zero,
    trim,
    cache,
    flush,
    map,
    grow,  ///< makes the export longer, as the client prefers to (RESIZE)
    learn, ///< learns of a new size, likewise
    disconnect,
    finish,
    truncate_image, ///< somebody else changes the size of the image behind the server's back
    kill_server,    ///< SIGKILL
    restart_server, ///< stops the server if it still runs, starts it again on the same image
    check_image,    ///< compares the image file with what was written
};

/// The name of a step as YAML has it: "read", "kill-server".
[[nodiscard]] const char* name(StepKind kind);
/// True for the client's operations.
[[nodiscard]] bool is_client_operation(StepKind kind);

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

/// One step of a scenario.
struct Step {
    StepKind kind = StepKind::read;
    Position position;

    std::string connection = "a";
    std::optional<std::string> export_name; ///< connect, info: another one than the server's own
    SizeExpression offset;
    SizeExpression length;
    std::optional<SizeExpression> stride;
    std::uint64_t count = 1;
    bool whole = false;          ///< read, write: all of the export, in whatever pieces the client likes
    std::set<std::string> flags; ///< as in the driver protocol: "fua", "df", …
    bool abrupt = false;         ///< disconnect
    std::string background;      ///< the name of a background job that this step starts
    std::string of;              ///< finish: the name of the job

    std::vector<ExpectationRow> rows;
    std::string rule;          ///< the requirement that is broken if the expectation is not met
    std::string rule_on_error; ///< the one that is broken by an error that is not expected; empty: `rule`
    std::string
        rule_on_success; ///< the one that is broken by a success where an error is expected; empty: `rule`
    std::string record;  ///< what happens is written down under this name

    /// "read 1048064+1024 fua": for people; `size` is the export's.
    [[nodiscard]] std::string describe(std::uint64_t size) const;
};

/// What the export is like at the start.
struct ExportSetup {
    std::uint64_t size = 1U << 20;
    bool read_only = false;
    bool filled = false; ///< a pattern; else zeroes. Needs a server with an image
    bool sparse = false; ///< filled, but with a hole in every second 64 KiB
};

/// A scenario.
struct Scenario {
    std::string name;
    std::string title;
    std::string group;
    std::string why; ///< what breaks in the world where this goes wrong
    Position position;
    ExportSetup setup;
    Conditions server_needs;
    Conditions client_needs;
    std::vector<Step> steps;
    std::vector<std::string> provokes; ///< requirements that the steps make the client break
    double timeout = 10;               ///< for each step, in seconds

    /// What the steps need of a client, by operation: the flags used with it.
    [[nodiscard]] std::set<std::string> operations() const;
};

/// Reads a scenario file, which holds a list of scenarios.
[[nodiscard]] std::vector<Scenario> load_scenarios(const YamlNode& document, const FactVocabulary& facts,
                                                   const Requirements& requirements);

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
