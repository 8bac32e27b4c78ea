#pragma once

// The knobs of the RESIZE extension, their values, and which of them make a valid configuration, from
// scenarios/knobs.yaml.

#include "harness/catalogue/yaml.hpp"
#include "harness/knobs/condition.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// Who turns a knob. `environment` is what happens to the backing storage.
enum class Side { server, client, environment };

/// All sides, in the order in which combinations are counted and described.
inline constexpr std::array<Side, 3> all_sides{Side::server, Side::client, Side::environment};

/// "server", "client", "environment".
[[nodiscard]] std::string_view side_name(Side side);

/// The value of a knob that does not apply to a configuration.
inline constexpr std::string_view not_applicable = "-";

/// One design choice.
struct Knob {
    std::string name; ///< as options and export names call it: "replies"
    std::string
        id; ///< as tables call it: "growth", or "server.replies" where two sides have one of that name
    Side side = Side::server;
    std::string says;                  ///< a sentence for people
    std::vector<std::string> values;   ///< in order; "-" comes last, if the knob does not always apply
    std::vector<std::string> meanings; ///< of the values, likewise
    When applies;                      ///< in columns of `Knobs::columns()`; empty: always
    Position position;
};

/// What makes a configuration invalid: `when` holds and `need` does not.
struct KnobRule {
    std::string says;
    Side side = Side::server; ///< of all knobs in it
    When when;
    When need;
    Position position;
};

/// One value index for each knob of a side, in the order of the file; the rest is 0.
using Configuration = std::array<std::uint8_t, 8>;

/// Indices of a server configuration, a client configuration and an environment.
struct Combination {
    std::uint32_t server = 0;
    std::uint32_t client = 0;
    std::uint32_t environment = 0;

    bool operator==(const Combination&) const = default;
    [[nodiscard]] std::uint32_t of(Side side) const {
        return side == Side::server ? server : side == Side::client ? client : environment;
    }
};

/// The knobs and everything that they can be set to.
class Knobs {
  public:
    /// Reads scenarios/knobs.yaml and enumerates the valid configurations. Throws CatalogueError with file,
    /// line and column.
    static Knobs load(const std::filesystem::path& file);

    /// All knobs: the server's, then the client's, then the environment's.
    [[nodiscard]] const std::vector<Knob>& all() const { return knobs_; }
    /// The knobs of one side.
    [[nodiscard]] std::span<const Knob> of(Side side) const;
    [[nodiscard]] const std::vector<KnobRule>& rules() const { return rules_; }
    /// The same knobs, in the same order, as decision tables name them.
    [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }

    /// The valid configurations of a side; the first knob varies slowest.
    [[nodiscard]] const std::vector<Configuration>& configurations(Side side) const;

    /// How many combinations there are: all sides multiplied.
    [[nodiscard]] std::size_t count() const;
    /// The combination of an index below count(): the environment varies fastest, then the client.
    [[nodiscard]] Combination combination(std::size_t index) const;
    [[nodiscard]] std::size_t index(const Combination& combination) const;

    /// The value of a knob, by its name, in a configuration of its side. Throws std::out_of_range for a name
    /// that the side does not have.
    [[nodiscard]] const std::string& value(Side side, std::size_t configuration, std::string_view knob) const;

    /// A configuration as text, knobs in order, those that do not apply left out:
    /// "growth=both,consent=opt-in,…". For a server that is an export name of the reference server.
    [[nodiscard]] std::string text(Side side, std::size_t configuration) const;
    /// The three texts, separated by a space.
    [[nodiscard]] std::string text(const Combination& combination) const;
    /// What `text` made; a message for people in `error` if it is no valid configuration.
    [[nodiscard]] std::optional<std::size_t> find(Side side, std::string_view text, std::string& error) const;

  private:
    friend class KnobsReader;

    [[nodiscard]] std::size_t first(Side side) const { return first_[static_cast<std::size_t>(side)]; }

    std::vector<Knob> knobs_;
    std::vector<Column> columns_;
    std::vector<KnobRule> rules_;
    std::array<std::size_t, 4> first_{}; ///< the index of each side's first knob, and the end
    std::array<std::vector<Configuration>, 3> configurations_;
};

} // namespace harness
