#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

class YamlNode;

/// How binding a normative statement is. MUST NOT counts as `must`, SHOULD NOT as `should`.
enum class Level { must, should };

/// Whom a normative statement binds.
enum class Bound { server, client, both };

/// One normative statement of the NBD specification, in our own words.
struct Requirement {
    std::string id;      ///< "WRITE-PAST-END"
    std::string section; ///< the heading in the document
    Level level = Level::must;
    Bound bound = Bound::server;
    std::string text;
    std::string document;   ///< one of `requirement_documents`
    std::string untestable; ///< why it cannot be tested from outside the program; empty: it can
    std::string ambiguous;  ///< two readings of the text, both to be accepted; empty: there is one
};

/// The documents that requirements come from, as files of scenarios/requirements name them: two of the
/// specification, its branch for extended headers, and this project's draft.
[[nodiscard]] const std::vector<std::string>& requirement_documents();

/// The requirements by identifier.
using Requirements = std::map<std::string, Requirement>;

/// "MUST" or "SHOULD", for the requirement of this identifier; empty if there is none.
[[nodiscard]] std::string level_text(const Requirements& requirements, std::string_view id);

/// Adds the requirements of one file of scenarios/requirements, which are all of one document; an identifier
/// that is there already is refused.
void load_requirements(const YamlNode& document, Requirements& into);

} // namespace harness
