#include "harness/knobs/knobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <stdexcept>

namespace harness {
namespace {

std::size_t number(Side side) {
    return static_cast<std::size_t>(side);
}

/// Whether a condition on a side's knobs, whose first column is `first`, holds in a configuration of it.
bool holds(const When& when, const Configuration& configuration, std::size_t first) {
    return std::ranges::all_of(when, [&](const ColumnCondition& condition) {
        return condition.holds(configuration[condition.column - first]);
    });
}

/// What is wrong with a configuration.
struct Breach {
    const Knob* knob = nullptr;     ///< is set though it does not apply, or the other way round
    const KnobRule* rule = nullptr; ///< does not hold
};

std::optional<Breach> breach(const Knobs& knobs, Side side, std::size_t first,
                             const Configuration& configuration) {
    const std::span<const Knob> own = knobs.of(side);
    for (std::size_t knob = 0; knob < own.size(); ++knob) {
        const bool set = own[knob].values[configuration[knob]] != not_applicable;
        if (set != holds(own[knob].applies, configuration, first)) {
            return Breach{&own[knob], nullptr};
        }
    }
    for (const KnobRule& rule : knobs.rules()) {
        if (rule.side == side && holds(rule.when, configuration, first) &&
            !holds(rule.need, configuration, first)) {
            return Breach{nullptr, &rule};
        }
    }
    return std::nullopt;
}

} // namespace

std::string_view side_name(Side side) {
    constexpr std::array<std::string_view, 3> names{"server", "client", "environment"};
    return names[number(side)];
}

std::span<const Knob> Knobs::of(Side side) const {
    return std::span(knobs_).subspan(first(side), first_[number(side) + 1] - first(side));
}

const std::vector<Configuration>& Knobs::configurations(Side side) const {
    return configurations_[number(side)];
}

std::size_t Knobs::count() const {
    return configurations_[0].size() * configurations_[1].size() * configurations_[2].size();
}

Combination Knobs::combination(std::size_t index) const {
    const std::size_t environments = configurations_[2].size();
    const std::size_t clients = configurations_[1].size();
    return {static_cast<std::uint32_t>(index / environments / clients),
            static_cast<std::uint32_t>(index / environments % clients),
            static_cast<std::uint32_t>(index % environments)};
}

std::size_t Knobs::index(const Combination& combination) const {
    return (combination.server * configurations_[1].size() + combination.client) * configurations_[2].size() +
           combination.environment;
}

const std::string& Knobs::value(Side side, std::size_t configuration, std::string_view knob) const {
    const std::span<const Knob> own = of(side);
    const auto found = std::ranges::find(own, knob, &Knob::name);
    if (found == own.end()) {
        throw std::out_of_range(fmt::format("the {} has no knob '{}'", side_name(side), knob));
    }
    const auto which = static_cast<std::size_t>(found - own.begin());
    return found->values[configurations(side).at(configuration)[which]];
}

std::string Knobs::text(Side side, std::size_t configuration) const {
    const Configuration& values = configurations(side).at(configuration);
    std::string result;
    for (std::size_t knob = 0; knob < of(side).size(); ++knob) {
        const Knob& own = of(side)[knob];
        const std::string& value = own.values[values[knob]];
        if (value != not_applicable) {
            result += fmt::format("{}{}={}", result.empty() ? "" : ",", own.name, value);
        }
    }
    return result;
}

std::string Knobs::text(const Combination& combination) const {
    std::string result;
    for (const Side side : all_sides) {
        result += (result.empty() ? "" : " ") + text(side, combination.of(side));
    }
    return result;
}

std::optional<std::size_t> Knobs::find(Side side, std::string_view text, std::string& error) const {
    const std::span<const Knob> own = of(side);
    std::vector<std::optional<std::uint8_t>> values(own.size());
    for (const auto part : std::views::split(text, ',')) {
        const std::string_view setting(part.begin(), part.end());
        const std::size_t equals = setting.find('=');
        const std::string_view name = setting.substr(0, equals);
        const auto knob = std::ranges::find(own, name, &Knob::name);
        if (knob == own.end() || equals == std::string_view::npos) {
            std::vector<std::string> names;
            for (const Knob& candidate : own) {
                names.push_back(candidate.name);
            }
            error = fmt::format("'{}' is no setting KNOB=VALUE of a knob of the {}{}", setting,
                                side_name(side), did_you_mean(name, names));
            return std::nullopt;
        }
        const auto value = std::ranges::find(knob->values, setting.substr(equals + 1));
        auto& place = values[static_cast<std::size_t>(knob - own.begin())];
        if (value == knob->values.end() || place) {
            error = place ? fmt::format("'{}' is set twice", name)
                          : fmt::format("'{}' is no value of {}{}", setting.substr(equals + 1), name,
                                        did_you_mean(setting.substr(equals + 1), knob->values));
            return std::nullopt;
        }
        place = static_cast<std::uint8_t>(value - knob->values.begin());
    }

    Configuration wanted{};
    for (std::size_t knob = 0; knob < own.size(); ++knob) {
        const bool optional = own[knob].values.back() == not_applicable;
        if (!values[knob] && !optional) {
            error = fmt::format("'{}' is not set", own[knob].name);
            return std::nullopt;
        }
        wanted[knob] = values[knob].value_or(static_cast<std::uint8_t>(own[knob].values.size() - 1));
    }
    if (const auto why = breach(*this, side, first(side), wanted)) {
        error = why->rule != nullptr ? why->rule->says
                                     : fmt::format("'{}' applies where, and only where, {}", why->knob->name,
                                                   describe(why->knob->applies, columns_));
        return std::nullopt;
    }
    const auto& all = configurations(side);
    return static_cast<std::size_t>(std::ranges::lower_bound(all, wanted) - all.begin());
}

/// Reads knobs.yaml; has what is of interest only while reading.
class KnobsReader {
  public:
    Knobs read(const std::filesystem::path& file) {
        YamlMap top = YamlNode::load(file).map();
        read_knobs(top.required("knobs"));
        top.optional("rules", [&](const YamlNode& rules) {
            for (const YamlNode& rule : rules.list()) {
                knobs_.rules_.push_back(read_rule(rule));
            }
        });
        top.finish();
        excluded_.resize(knobs_.rules_.size());
        for (const Side side : all_sides) {
            enumerate(side);
        }
        check_use();
        return std::move(knobs_);
    }

  private:
    /// What is still needed of a knob's text once all knobs are known.
    struct Draft {
        Knob knob;
        YamlNode values;
        std::optional<YamlNode> applies;
    };

    static Draft read_knob(const YamlNode& node) {
        YamlMap map = node.map();
        const YamlNode name = map.required("knob");
        const YamlNode side = map.required("side");
        Draft draft{{}, map.required("values"), map.optional("applies")};
        Knob& knob = draft.knob;
        knob.position = node.position();
        knob.name = knob.id = name.text();
        check_word(knob.name, name, false);
        const auto found = std::ranges::find(all_sides, side.text(), side_name);
        if (found == all_sides.end()) {
            side.fail(fmt::format("a side is server, client or environment, not '{}'", side.text()));
        }
        knob.side = *found;
        knob.says = map.required("says").text();
        for (const auto& [value, meaning] : draft.values.entries()) {
            check_word(value, meaning, true);
            knob.values.push_back(value);
            knob.meanings.push_back(meaning.text());
        }
        if (knob.values.size() < 2 || knob.values.size() >= Column::max_values) {
            draft.values.fail(
                fmt::format("a knob has at least two values and fewer than {}", Column::max_values));
        }
        if (draft.applies) {
            knob.values.emplace_back(not_applicable);
            knob.meanings.emplace_back("does not apply");
        }
        map.finish();
        return draft;
    }

    /// Names and values become parts of texts: KNOB=VALUE,KNOB=VALUE.
    static void check_word(const std::string& word, const YamlNode& node, bool is_key) {
        constexpr const char* allowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
        if (word.empty() || word == not_applicable || word.find_first_not_of(allowed) != std::string::npos) {
            const std::string message = fmt::format(
                "'{}' cannot be the name of a knob or of a value; those are of a-z, 0-9 and '-'", word);
            is_key ? node.fail_at_key(message) : node.fail(message);
        }
    }

    void read_knobs(const YamlNode& list) {
        for (const YamlNode& node : list.list()) {
            drafts_.push_back(read_knob(node));
        }
        std::ranges::stable_sort(drafts_, {}, [](const Draft& draft) { return draft.knob.side; });
        for (const Draft& draft : drafts_) {
            knobs_.knobs_.push_back(draft.knob);
            ++knobs_.first_[number(draft.knob.side) + 1];
        }
        for (std::size_t side = 1; side < knobs_.first_.size(); ++side) {
            if (knobs_.first_[side] == 0 || knobs_.first_[side] > Configuration{}.size()) {
                list.fail(fmt::format("there have to be 1 to {} knobs of the {}", Configuration{}.size(),
                                      side_name(all_sides[side - 1])));
            }
            knobs_.first_[side] += knobs_.first_[side - 1];
        }
        name_columns();
        for (std::size_t knob = 0; knob < drafts_.size(); ++knob) {
            if (const auto& applies = drafts_[knob].applies) {
                Knob& own = knobs_.knobs_[knob];
                own.applies = read_when(*applies, knobs_.columns_);
                if (own.applies.empty() || side_of(own.applies, *applies) != own.side) {
                    applies->fail(fmt::format("whether '{}' applies depends on other knobs of the {}",
                                              own.name, side_name(own.side)));
                }
            }
        }
    }

    /// Knobs are named without their side where that is enough.
    void name_columns() {
        for (Knob& knob : knobs_.knobs_) {
            for (const Knob& other : knobs_.knobs_) {
                if (&other == &knob || other.name != knob.name) {
                    continue;
                }
                if (other.side == knob.side) { // `knob` is the first of the two
                    throw CatalogueError(other.position, fmt::format("the {} has a knob '{}' already",
                                                                     side_name(knob.side), knob.name));
                }
                knob.id = fmt::format("{}.{}", side_name(knob.side), knob.name);
            }
            knobs_.columns_.push_back({knob.id, knob.values, false});
        }
    }

    /// The side of the knobs of a condition, which has to be one.
    Side side_of(const When& when, const YamlNode& node) const {
        const Side side = knobs_.knobs_[when.front().column].side;
        for (const ColumnCondition& condition : when) {
            if (knobs_.knobs_[condition.column].side != side) {
                node.fail("a condition on configurations names knobs of one side; each side is enumerated "
                          "for itself");
            }
        }
        return side;
    }

    KnobRule read_rule(const YamlNode& node) const {
        YamlMap map = node.map();
        KnobRule rule;
        rule.position = node.position();
        rule.says = map.required("rule").text();
        const YamlNode when = map.required("when");
        const YamlNode need = map.required("need");
        map.finish();
        rule.when = read_when(when, knobs_.columns_);
        rule.need = read_when(need, knobs_.columns_);
        for (const auto& [part, where] : {std::pair(&rule.when, &when), std::pair(&rule.need, &need)}) {
            if (part->empty()) {
                where->fail("a condition is missing here");
            }
        }
        rule.side = side_of(rule.when, when);
        if (side_of(rule.need, need) != rule.side) {
            need.fail("a rule is about the knobs of one side");
        }
        return rule;
    }

    void enumerate(Side side) {
        const std::span<const Knob> own = knobs_.of(side);
        Configuration configuration{};
        for (;;) {
            const auto why = breach(knobs_, side, knobs_.first(side), configuration);
            if (!why) {
                knobs_.configurations_[number(side)].push_back(configuration);
            } else if (why->rule != nullptr) {
                excluded_[static_cast<std::size_t>(why->rule - knobs_.rules_.data())] = true;
            }
            std::size_t knob = own.size();
            while (knob > 0 && ++configuration[knob - 1] == own[knob - 1].values.size()) {
                configuration[--knob] = 0;
            }
            if (knob == 0) {
                return;
            }
        }
    }

    /// Every rule excludes something, and every value is left in some configuration.
    void check_use() const {
        for (std::size_t rule = 0; rule < excluded_.size(); ++rule) {
            if (!excluded_[rule]) {
                throw CatalogueError(knobs_.rules_[rule].position,
                                     "this rule excludes nothing that the rules before it do not");
            }
        }
        for (std::size_t knob = 0; knob < drafts_.size(); ++knob) {
            const Side side = drafts_[knob].knob.side;
            for (const auto& [value, node] : drafts_[knob].values.entries()) {
                const bool used =
                    std::ranges::any_of(knobs_.configurations(side), [&](const Configuration& configuration) {
                        return knobs_.knobs_[knob].values[configuration[knob - knobs_.first(side)]] == value;
                    });
                if (!used) {
                    node.fail_at_key(
                        fmt::format("no valid configuration has {}={}", drafts_[knob].knob.name, value));
                }
            }
        }
    }

    Knobs knobs_;
    std::vector<Draft> drafts_;
    std::vector<bool> excluded_; ///< by rule: it excludes some configuration
};

Knobs Knobs::load(const std::filesystem::path& file) {
    return KnobsReader().read(file);
}

} // namespace harness
