#include "harness/exhaustive/evidence.hpp"

#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace harness {
namespace {

/// Where nothing is to be counted.
constexpr const char* nothing = "–";

/// Reading evidence.yaml.
class Reader {
  public:
    Reader(const Knobs& knobs, const Oracle& oracle)
      : knobs_(knobs)
      , oracle_(oracle) {}

    [[nodiscard]] Count count(YamlMap& map, const std::string& key) const {
        Count count;
        count.says = map.required(key).text();
        map.optional("among",
                     [&](const YamlNode& node) { count.among = read_when(node, oracle_.columns()); });
        const YamlNode when = map.required("when");
        count.when = read_when(when, oracle_.columns());
        if ((oracle_.who(count.among) & oracle_.who(count.when)).none()) {
            when.fail("no combination meets this");
        }
        return count;
    }

    [[nodiscard]] std::vector<Count> counts(const YamlNode& list, const std::string& key) const {
        std::vector<Count> all;
        for (const YamlNode& node : list.list()) {
            YamlMap map = node.map();
            all.push_back(count(map, key));
            map.finish();
        }
        return all;
    }

    [[nodiscard]] std::vector<std::size_t> knobs(const YamlNode& list) const {
        std::vector<std::size_t> all;
        for (const YamlNode& node : list.list()) {
            std::vector<std::string> names;
            for (const Column& column : knobs_.columns()) {
                names.push_back(column.name);
            }
            const auto found = std::ranges::find(names, node.text());
            if (found == names.end()) {
                node.fail(fmt::format("'{}' is no knob{}", node.text(), did_you_mean(node.text(), names)));
            }
            all.push_back(static_cast<std::size_t>(found - names.begin()));
        }
        return all;
    }

    [[nodiscard]] Crossing crossing(const YamlNode& node) const {
        YamlMap map = node.map();
        Crossing crossing;
        crossing.count = count(map, "says");
        crossing.rows = knobs(map.required("rows"));
        crossing.columns = knobs(map.required("columns"));
        map.finish();
        return crossing;
    }

    [[nodiscard]] OpenQuestion question(const YamlNode& node) const {
        YamlMap map = node.map();
        OpenQuestion question;
        question.question = map.required("question").text();
        map.optional("counts", [&](const YamlNode& list) { question.counts = counts(list, "says"); });
        map.optional("beyond", [&](const YamlNode& text) { question.beyond = text.text(); });
        map.finish();
        if (question.counts.empty() && question.beyond.empty()) {
            node.fail("a question has counts, or says where it is answered");
        }
        return question;
    }

  private:
    const Knobs& knobs_;
    const Oracle& oracle_;
};

/// "12,345 of 45,678 (27%)"; 0% and 100% are said only of none and all.
std::string share(std::size_t part, std::size_t whole) {
    if (whole == 0) {
        return nothing;
    }
    if (part == whole || part == 0) {
        return fmt::format("{} of {}", part == 0 ? "none" : "all", reports::grouped(whole));
    }
    const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    const std::string text = percent < 1 ? "<1" : percent > 99 ? ">99" : fmt::format("{:.0f}", percent);
    return fmt::format("{} of {} ({}%)", reports::grouped(part), reports::grouped(whole), text);
}

/// Counting among the lives of a run.
class Counter {
  public:
    Counter(const Knobs& knobs, const Oracle& oracle, const CombinationSet& lives)
      : knobs_(knobs)
      , oracle_(oracle)
      , lives_(lives) {}

    [[nodiscard]] const std::vector<Column>& columns() const { return oracle_.columns(); }
    [[nodiscard]] std::size_t knobs() const { return knobs_.columns().size(); }
    [[nodiscard]] CombinationSet of(const When& when) const { return oracle_.who(when) & lives_; }
    [[nodiscard]] CombinationSet of(std::size_t column, std::size_t value) const {
        return of(When{{column, std::uint64_t{1} << value}});
    }

    [[nodiscard]] std::string example(const CombinationSet& who) const {
        const std::size_t first = who.find_first();
        return first == CombinationSet::npos ? nothing : knobs_.text(knobs_.combination(first));
    }

  private:
    const Knobs& knobs_;
    const Oracle& oracle_;
    const CombinationSet& lives_;
};

reports::EvidenceTable knob_by_knob(const Counter& counter, const std::vector<Count>& columns,
                                    const std::string& about) {
    reports::EvidenceTable table{"Knob by knob", about, {"knob", "lives"}, {}};
    std::vector<std::pair<CombinationSet, CombinationSet>> sets; // among, and of these those that are counted
    for (const Count& column : columns) {
        table.columns.push_back(column.says);
        const CombinationSet among = counter.of(column.among);
        sets.emplace_back(among, among & counter.of(column.when));
    }
    for (std::size_t knob = 0; knob < counter.knobs(); ++knob) {
        const Column& column = counter.columns()[knob];
        for (std::size_t value = 0; value < column.values.size(); ++value) {
            const CombinationSet who = counter.of(knob, value);
            std::vector<std::string> row{fmt::format("{}={}", column.name, column.values[value]),
                                         reports::grouped(who.count())};
            for (const auto& [among, counted] : sets) {
                row.push_back(share((counted & who).count(), (among & who).count()));
            }
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

reports::EvidenceTable crossing_table(const Counter& counter, const Crossing& crossing) {
    reports::EvidenceTable table{crossing.count.says, "", {"server"}, {}};
    const CombinationSet among = counter.of(crossing.count.among);
    const CombinationSet counted = among & counter.of(crossing.count.when);
    const auto each_value = [&](const std::vector<std::size_t>& knobs, const auto& use) {
        for (const std::size_t knob : knobs) {
            const Column& column = counter.columns()[knob];
            for (std::size_t value = 0; value < column.values.size(); ++value) {
                use(fmt::format("{}={}", column.name, column.values[value]), counter.of(knob, value));
            }
        }
    };
    each_value(crossing.columns,
               [&](const std::string& name, const CombinationSet&) { table.columns.push_back(name); });
    each_value(crossing.rows, [&](const std::string& row_name, const CombinationSet& server) {
        std::vector<std::string> row{row_name};
        each_value(crossing.columns, [&](const std::string&, const CombinationSet& client) {
            const CombinationSet both = server & client;
            row.push_back(share((counted & both).count(), (among & both).count()));
        });
        table.rows.push_back(std::move(row));
    });
    return table;
}

reports::EvidenceQuestion answer(const Counter& counter, const OpenQuestion& open) {
    reports::EvidenceQuestion question{open.question, {}, open.beyond};
    if (!open.counts.empty()) {
        reports::EvidenceTable table{
            "What lives show", "", {"statement", "lives", "one where it is so", "one where it is not"}, {}};
        for (const Count& count : open.counts) {
            const CombinationSet among = counter.of(count.among);
            const CombinationSet so = among & counter.of(count.when);
            table.rows.push_back({count.says, share(so.count(), among.count()), counter.example(so),
                                  counter.example(among - so)});
        }
        question.tables.push_back(std::move(table));
    }
    return question;
}

} // namespace

Evidence Evidence::load(const std::filesystem::path& file, const Knobs& knobs, const Oracle& oracle) {
    const Reader reader(knobs, oracle);
    Evidence evidence;
    YamlMap top = YamlNode::load(file).map();
    YamlMap table = top.required("knob-by-knob").map();
    evidence.about_ = table.required("about").text();
    evidence.columns_ = reader.counts(table.required("columns"), "says");
    table.finish();
    for (const YamlNode& node : top.required("crossings").list()) {
        evidence.crossings_.push_back(reader.crossing(node));
    }
    for (const YamlNode& node : top.required("questions").list()) {
        evidence.questions_.push_back(reader.question(node));
    }
    top.finish();
    return evidence;
}

void Evidence::add_to(reports::RunResult& run, const Knobs& knobs, const Oracle& oracle,
                      const CombinationSet& lives) const {
    const Counter counter(knobs, oracle, lives);
    run.tables.push_back(knob_by_knob(counter, columns_, about_));
    for (const Crossing& crossing : crossings_) {
        run.tables.push_back(crossing_table(counter, crossing));
    }
    for (const OpenQuestion& open : questions_) {
        reports::add_question(run, answer(counter, open));
    }
}

} // namespace harness
