#pragma once

// Scenarios of the qcow2 stacks as data: what is done with an image in a stack, and what has to come of it.

#include "harness/catalogue/facts.hpp"
#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/scenario.hpp"
#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/yaml.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace harness {

/// What a step of a stack does.
enum class ActionKind {
    create, ///< makes the image: in the export where the client parses it, else before the server starts
    open,   ///< starts the process that has the disk open
    close,  ///< ends it
    write,  ///< by that process, as are the next four
    fill,   ///< writes piece after piece, until one fails
    read,
    zero,
    trim,
    flush,
    snapshot,    ///< makes an internal snapshot: by that process if there is one, else by a program
    bitmap,      ///< adds a persistent dirty bitmap, likewise
    resize,      ///< changes the size of the disk, likewise
    convert,     ///< copies a disk into the image, by a program
    contents,    ///< reads the whole disk by a program and compares it with what was written
    bitmap_kept, ///< looks whether the image has the bitmap, by a program
    container,   ///< compares the size of the file that the server serves with the one at the start
    check,       ///< ends the server and checks that file, by a program
};

/// The name of an action as YAML has it: "fill", "bitmap-kept".
[[nodiscard]] const char* name(ActionKind kind);

/// One step.
struct Action {
    ActionKind kind = ActionKind::open;
    Position position;
    SizeExpression offset;    ///< bytes; `size` is the size of the disk at the start
    SizeExpression length;    ///< bytes; of resize and convert the size of the disk
    std::uint64_t piece = 0;  ///< of fill, in bytes
    std::uint64_t stride = 0; ///< of fill: from the beginning of a piece to that of the next one, in bytes
    std::string of;           ///< the name of a snapshot or a bitmap; of contents may be empty
    std::vector<std::string> options; ///< of create and convert: words for the program
    bool backing = false;             ///< of create: on top of another image, which holds a pattern

    std::vector<ExpectationRow> rows;
    std::string rule; ///< the requirement that is broken if the expectation is not met
    std::string record;

    /// For people: "write 65536+4096"; `size` is the disk's.
    [[nodiscard]] std::string describe(std::uint64_t size) const;
};

/// A scenario, which stacks carry out.
struct StackScenario {
    std::string name;
    std::string title;
    std::string why;
    std::vector<std::string> stacks; ///< by name
    std::uint64_t container = 0; ///< size of the file that the server has where the client parses the image
    std::uint64_t disk = 0;      ///< size of the disk in it, in bytes
    Conditions needs;            ///< of server and client
    std::vector<Action> actions;
    double timeout = 20; ///< for each step, in seconds
};

/// Reads the scenarios of a suite for stacks of these names. Throws CatalogueError with file, line and
/// column.
[[nodiscard]] std::vector<StackScenario> load_stack_scenarios(const YamlNode& document,
                                                              const std::vector<std::string>& stacks,
                                                              const FactVocabulary& facts,
                                                              const Requirements& requirements);

} // namespace harness
