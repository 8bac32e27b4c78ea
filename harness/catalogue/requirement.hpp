#pragma once

#include <map>
#include <string>
#include <string_view>

namespace harness {

class YamlNode;

/// How binding a normative statement is. MUST NOT counts as `must`, SHOULD NOT as `should`.
enum class Level { must, should };

/// Whom a normative statement binds.
enum class Bound { server, client, both };

/// One normative statement of the NBD specification, in our own words.
struct Requirement {
    std::string id;      ///< "WRITE-PAST-END"
    std::string section; ///< the heading in doc/proto.md
    Level level = Level::must;
    Bound bound = Bound::server;
    std::string text;
};

/// The requirements by identifier.
using Requirements = std::map<std::string, Requirement>;

/// "MUST" or "SHOULD", for the requirement of this identifier; empty if there is none.
[[nodiscard]] std::string level_text(const Requirements& requirements, std::string_view id);

/// Adds the requirements of one file of scenarios/requirements; an identifier that is there already is
/// refused.
void load_requirements(const YamlNode& document, Requirements& into);

} // namespace harness
