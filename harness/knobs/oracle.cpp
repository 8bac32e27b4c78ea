#include "harness/knobs/oracle.hpp"

#include "harness/catalogue/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace harness {
namespace {

using Set = CombinationSet;

constexpr std::string_view no_size = "none";
constexpr std::string_view copied = "same as ";

/// RZ-, a word of capitals, a number.
bool is_identifier(std::string_view text) {
    const std::size_t dash = text.rfind('-');
    if (!text.starts_with("RZ-") || dash <= 3 || dash + 1 == text.size()) {
        return false;
    }
    return std::ranges::all_of(text.substr(3, dash - 3), [](char c) { return c >= 'A' && c <= 'Z'; }) &&
           std::ranges::all_of(text.substr(dash + 1), [](char c) { return c >= '0' && c <= '9'; });
}

/// Those of `all` who meet a condition; `set(column, value)` is who has that value.
template <class SetOf>
Set meeting(const When& when, Set all, const std::vector<Column>& columns, const SetOf& set_of) {
    for (const ColumnCondition& condition : when) {
        Set any(all.size());
        for (std::size_t value = 0; value < columns[condition.column].values.size(); ++value) {
            if (condition.holds(value)) {
                any |= set_of(condition.column, value);
            }
        }
        all &= any;
    }
    return all;
}

} // namespace

int Question::find(std::string_view plain) const {
    std::uint64_t bytes = 0;
    const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), bytes);
    const bool digits = error == std::errc{} && end == plain.data() + plain.size();
    const auto found = std::ranges::find_if(answers, [&](const Answer& answer) {
        return answer.bytes ? digits && *answer.bytes == bytes : answer.text == plain;
    });
    return found == answers.end() ? -1 : static_cast<int>(found - answers.begin());
}

std::size_t Oracle::question(std::string_view name) const {
    const auto found = std::ranges::find(questions_, name, &Question::name);
    if (found == questions_.end()) {
        throw std::out_of_range(fmt::format("the life of a combination has no question '{}'", name));
    }
    return static_cast<std::size_t>(found - questions_.begin());
}

CombinationSet Oracle::who(const When& when) const {
    return meeting(
        when, CombinationSet(sets_.front().front().size()).set(), columns_,
        [this](std::size_t column, std::size_t value) -> const Set& { return sets_[column][value]; });
}

const Row& Oracle::row(std::size_t combination, std::size_t question) const {
    return questions_.at(question).rows.at(rows_.at(combination * questions_.size() + question));
}

/// Reads life.yaml. For each value of each knob, fact and question it knows the set of combinations that have
/// that value; a row is then an intersection of unions.
class OracleReader {
  public:
    explicit OracleReader(const Knobs& knobs)
      : knobs_(knobs)
      , all_(knobs.count()) {
        all_.set();
        for (const Column& column : knobs.columns()) {
            entries_.push_back({column, std::vector<Set>(column.values.size(), Set(knobs.count())), {}, {}});
        }
        for (std::size_t index = 0; index < knobs.count(); ++index) {
            const Combination combination = knobs.combination(index);
            std::size_t column = 0;
            for (const Side side : all_sides) {
                const Configuration& values = knobs.configurations(side)[combination.of(side)];
                for (std::size_t knob = 0; knob < knobs.of(side).size(); ++knob) {
                    entries_[column++].sets[values[knob]].set(index);
                }
            }
        }
    }

    Oracle read(const std::filesystem::path& file) {
        YamlMap top = YamlNode::load(file).map();
        const YamlNode life = top.required("life");
        top.finish();
        for (const YamlNode& node : life.list()) {
            read_entry(node);
        }
        if (std::ranges::none_of(entries_, [](const Entry& entry) { return entry.question.has_value(); })) {
            life.fail("no question is here");
        }
        return answer_all();
    }

  private:
    /// A knob, a fact or a question.
    struct Entry {
        Column column;
        std::vector<Set> sets;            ///< by value: who has it
        std::vector<Set> row_sets;        ///< by row: whom it decides
        std::optional<Question> question; ///< of a question
    };

    /// Conditions are read with columns alone.
    [[nodiscard]] std::vector<Column> columns() const {
        std::vector<Column> result;
        for (const Entry& entry : entries_) {
            result.push_back(entry.column);
        }
        return result;
    }

    void read_entry(const YamlNode& node) {
        YamlMap map = node.map();
        const auto fact = map.optional("fact");
        const auto question = map.optional("question");
        if (fact.has_value() == question.has_value()) {
            node.fail("each entry of the life is either a 'fact' or a 'question'");
        }
        const YamlNode name = fact ? *fact : *question;
        check_name(name.text(), name, false);
        if (std::ranges::any_of(entries_,
                                [&](const Entry& entry) { return entry.column.name == name.text(); })) {
            name.fail(fmt::format("there is a knob, fact or question '{}' already", name.text()));
        }
        Entry entry;
        entry.column.name = name.text();
        std::vector<Row> rows;
        const YamlNode values = map.required(fact ? "values" : "answers");
        read_values(values, entry);
        if (question) {
            entry.question = Question{name.text(), map.required("title").text(), {}, {}, {}, name.position()};
            read_rules(map.required("rules"), *entry.question);
        }
        const YamlNode row_list = map.required("rows");
        map.finish();
        read_rows(row_list, entry, rows);
        check_values(values, entry);
        if (question) {
            entry.question->rows = std::move(rows);
        }
        entries_.push_back(std::move(entry));
    }

    /// The closed list of values; those of `sizes` come from the rows.
    void read_values(const YamlNode& node, Entry& entry) const {
        if (node.is_scalar() && node.text() == "sizes") {
            entry.column.sizes = true;
            return;
        }
        for (const YamlNode& value : node.list()) {
            const std::string text = value.text();
            if (std::ranges::find(entry.column.values, text) != entry.column.values.end()) {
                value.fail(fmt::format("'{}' stands here a second time", text));
            }
            if (text.empty() || text.starts_with(copied)) {
                value.fail(fmt::format("'{}' cannot be a value", text));
            }
            add_value(value, entry, text);
        }
    }

    void add_value(const YamlNode& node, Entry& entry, const std::string& text) const {
        if (entry.column.values.size() == Column::max_values) {
            node.fail(fmt::format("'{}' has more than {} values", entry.column.name, Column::max_values));
        }
        entry.column.values.push_back(text);
        entry.sets.emplace_back(all_.size());
    }

    static void read_rules(const YamlNode& node, Question& question) {
        for (const YamlNode& rule : node.list()) {
            if (!is_identifier(rule.text())) {
                rule.fail(fmt::format("'{}' is no identifier of a statement, as in RZ-PLAIN-5", rule.text()));
            }
            question.rules.push_back(rule.text());
        }
        if (question.rules.empty()) {
            node.fail("a question names the statements that it is about");
        }
    }

    void read_rows(const YamlNode& list, Entry& entry, std::vector<Row>& rows) {
        const std::vector<Column> known = columns();
        Set seen(all_.size());
        std::vector<std::size_t> named; // columns, in the order in which rows name them
        for (const YamlNode& node : list.list()) {
            YamlMap map = node.map();
            When when;
            map.optional("when", [&](const YamlNode& value) { when = read_when(value, known); });
            const YamlNode then = map.required("then");
            std::string because;
            map.optional("because", [&](const YamlNode& value) { because = value.text(); });
            map.finish();
            for (const ColumnCondition& condition : when) {
                if (std::ranges::find(named, condition.column) == named.end()) {
                    named.push_back(condition.column);
                }
            }

            const Set met =
                meeting(when, all_, known, [this](std::size_t column, std::size_t value) -> const Set& {
                    return entries_[column].sets[value];
                });
            if (met.none()) {
                node.fail(fmt::format("no combination meets this row of '{}': {}", entry.column.name,
                                      describe(when, known)));
            }
            if (met.intersects(seen)) {
                std::size_t other = 0;
                while (!entry.row_sets[other].intersects(met)) {
                    ++other;
                }
                node.fail(fmt::format("this row of '{}' and the one in line {} both fit {}",
                                      entry.column.name, rows[other].position.line,
                                      describe_first(met & entry.row_sets[other], named)));
            }
            seen |= met;
            rows.push_back({node.position(), describe(when, known), because});
            decide(then, met, entry);
            entry.row_sets.push_back(met);
            if (rows.size() > 255) {
                node.fail("a table has at most 255 rows");
            }
        }
        if (seen != all_) {
            list.fail_at_key(
                fmt::format("no row of '{}' fits {}", entry.column.name, describe_first(all_ - seen, named)));
        }
    }

    /// Gives those who meet a row the value after `then`.
    void decide(const YamlNode& then, const Set& met, Entry& entry) const {
        const std::string text = then.text();
        if (!text.starts_with(copied)) {
            entry.sets[value_of(then, entry, text)] |= met;
            return;
        }
        const std::string name = text.substr(copied.size());
        const auto source = std::ranges::find(entries_, name, [](const Entry& e) { return e.column.name; });
        if (source == entries_.end()) {
            std::vector<std::string> names;
            for (const Entry& candidate : entries_) {
                names.push_back(candidate.column.name);
            }
            then.fail(fmt::format("'{}' is no entry further up{}", name, did_you_mean(name, names)));
        }
        for (std::size_t value = 0; value < source->sets.size(); ++value) {
            if (const Set who = met & source->sets[value]; who.any()) {
                entry.sets[value_of(then, entry, source->column.values[value])] |= who;
            }
        }
    }

    /// The index of a value; a new one among sizes.
    [[nodiscard]] std::size_t value_of(const YamlNode& then, Entry& entry, const std::string& text) const {
        const int found = find_value(entry.column, text);
        if (found >= 0) {
            return static_cast<std::size_t>(found);
        }
        if (!entry.column.sizes) {
            then.fail(fmt::format("'{}' is no value of '{}'{}; its values are {}", text, entry.column.name,
                                  did_you_mean(text, entry.column.values),
                                  fmt::join(entry.column.values, ", ")));
        }
        if (text != no_size && !size_in_bytes(text)) {
            then.fail(fmt::format("'{}' is no size: numbers with KiB, MiB or GiB, joined by + and -, or {}",
                                  text, no_size));
        }
        add_value(then, entry, text);
        return entry.column.values.size() - 1;
    }

    static void check_values(const YamlNode& node, const Entry& entry) {
        if (entry.column.sizes) {
            return;
        }
        const std::vector<YamlNode> nodes = node.list();
        for (std::size_t value = 0; value < entry.sets.size(); ++value) {
            if (entry.sets[value].none()) {
                nodes[value].fail(fmt::format("no combination gives '{}' the value '{}'", entry.column.name,
                                              entry.column.values[value]));
            }
        }
    }

    /// The first combination of a set, by what a table names and in full.
    [[nodiscard]] std::string describe_first(const Set& set, const std::vector<std::size_t>& named) const {
        const std::size_t first = set.find_first();
        std::vector<std::string> parts;
        for (const std::size_t column : named) {
            const Entry& entry = entries_[column];
            for (std::size_t value = 0; value < entry.sets.size(); ++value) {
                if (entry.sets[value].test(first)) {
                    parts.push_back(entry.column.name + "=" + entry.column.values[value]);
                }
            }
        }
        const std::string full = knobs_.text(knobs_.combination(first));
        return parts.empty() ? fmt::format("{} combinations, for one: {}", set.count(), full)
                             : fmt::format("{} ({} combinations, for one: {})", fmt::join(parts, ", "),
                                           set.count(), full);
    }

    /// Turns sets into the answers of each combination.
    Oracle answer_all() {
        Oracle oracle;
        std::vector<const Entry*> asked;
        for (Entry& entry : entries_) {
            if (entry.question) {
                for (const std::string& value : entry.column.values) {
                    entry.question->answers.push_back(
                        {value, entry.column.sizes ? size_in_bytes(value) : std::nullopt});
                }
                oracle.questions_.push_back(*entry.question);
                asked.push_back(&entry);
            }
        }
        const auto scatter = [&](const std::vector<Set>& sets, std::size_t question,
                                 std::vector<std::uint8_t>& into) {
            for (std::size_t value = 1; value < sets.size(); ++value) { // 0 is there already
                for (std::size_t at = sets[value].find_first(); at != Set::npos;
                     at = sets[value].find_next(at)) {
                    into[at * asked.size() + question] = static_cast<std::uint8_t>(value);
                }
            }
        };
        oracle.answers_.resize(all_.size() * asked.size());
        oracle.rows_.resize(all_.size() * asked.size());
        for (std::size_t question = 0; question < asked.size(); ++question) {
            scatter(asked[question]->sets, question, oracle.answers_);
            scatter(asked[question]->row_sets, question, oracle.rows_);
        }
        for (Entry& entry : entries_) {
            oracle.columns_.push_back(std::move(entry.column));
            oracle.sets_.push_back(std::move(entry.sets));
        }
        return oracle;
    }

    const Knobs& knobs_;
    Set all_;
    std::vector<Entry> entries_; ///< the knobs first
};

Oracle Oracle::load(const std::filesystem::path& file, const Knobs& knobs) {
    return OracleReader(knobs).read(file);
}

} // namespace harness
