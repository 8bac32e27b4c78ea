#pragma once

// A step of a scenario: what a client does on a server, or what is done to the server.

#include "harness/catalogue/expectation.hpp"

#include <cstdint>
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

/// Reads a step; `default_rule` is the requirement that is broken where the step names none. Throws
/// CatalogueError.
[[nodiscard]] Step read_step(const YamlNode& node, const std::string& default_rule,
                             const FactVocabulary& facts, const Requirements& requirements);

} // namespace harness
