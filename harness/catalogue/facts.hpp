#pragma once

// Facts: what is known of a server or a client before a scenario runs, each with a closed set of values.
// Scenarios select by facts, and decision tables are written over them, so that they can be checked to be
// total.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace harness {

class YamlNode;

/// How the value of a fact is learnt.
enum class FactSource {
    peer_file, ///< the peer's YAML says it, under `traits`
    handshake, ///< the probe's `info` on this server tells it
};

/// One fact and its values.
struct Fact {
    std::string name;
    std::string role; ///< "server" or "client"
    std::string meaning;
    std::vector<std::string> values; ///< at least two; the first is the default of a trait
    FactSource source = FactSource::peer_file;
    /// For a fact of the handshake: the transmission flag whose presence is "yes" and absence "no".
    std::optional<std::string> flag;
    /// For a fact of the handshake: the boolean field of the probe's result, or "block" for "was it told?".
    std::optional<std::string> field;
    /// For a fact of the handshake: "yes" if the server takes requests of this granularity, in bytes.
    std::optional<std::uint64_t> granularity;
};

/// Values of facts, by name.
using Facts = std::map<std::string, std::string>;

/// Conditions on facts, by name: the values that satisfy it.
using Conditions = std::map<std::string, std::vector<std::string>>;

/// The vocabulary of facts, from facts.yaml.
class FactVocabulary {
  public:
    /// Reads the map `facts` of facts.yaml.
    static FactVocabulary load(const YamlNode& node);

    /// Adds a trait of servers or clients that peer files do not set.
    void add(Fact fact) { facts_.push_back(std::move(fact)); }
    [[nodiscard]] const std::vector<Fact>& all() const { return facts_; }
    /// The fact of that name, or null.
    [[nodiscard]] const Fact* find(const std::string& name) const;
    /// The traits of a role with their default values.
    [[nodiscard]] Facts default_traits(const std::string& role) const;

    /// Reads a map fact -> value or list of values; unknown names and values are refused. `role` limits the
    /// facts to those of one side; empty for both.
    [[nodiscard]] Conditions conditions(const YamlNode& node, const std::string& role) const;
    /// Reads the `traits` of a peer over `traits`: only facts of source `peer_file` and that role.
    void read_traits(const YamlNode& node, const std::string& role, Facts& traits) const;

  private:
    [[nodiscard]] std::vector<std::string> names(const std::string& role) const;

    std::vector<Fact> facts_;
};

/// True if all conditions hold; a fact that is not known satisfies none.
[[nodiscard]] bool satisfied(const Conditions& conditions, const Facts& facts);

/// The first condition that does not hold, for people: "trim is 'no', 'yes' is needed"; empty if all hold.
[[nodiscard]] std::string unmet(const Conditions& conditions, const Facts& facts);

} // namespace harness
