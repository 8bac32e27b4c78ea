#pragma once

// The oracle: what the life of a combination must look like, from decision tables over knobs
// (scenarios/resize/life.yaml). The tables are checked when they are read: each combination meets exactly one
// row of each table, and each row is met by some combination.

#include "harness/catalogue/yaml.hpp"
#include "harness/knobs/knobs.hpp"

#include <boost/dynamic_bitset.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// One of the answers that a question can have.
struct Answer {
    std::string text;                   ///< "explicit", "1MiB+100001", "none"
    std::optional<std::uint64_t> bytes; ///< what a size means; none for words

    /// As a driver says it: the bytes in decimal digits, or the word itself.
    [[nodiscard]] std::string plain() const { return bytes ? std::to_string(*bytes) : text; }
};

/// One row of a decision table.
struct Row {
    Position position;
    std::string when;    ///< for people: "growth is auto or both, consent is implicit"; "always"
    std::string because; ///< a sentence; may be empty
};

/// Something that the life of a combination answers.
struct Question {
    std::string name;               ///< "grow-size"
    std::string title;              ///< a sentence for people
    std::vector<std::string> rules; ///< identifiers of the draft's statements, at least one
    std::vector<Answer> answers;    ///< at most 64
    std::vector<Row> rows;
    Position position;

    /// The index of the answer that a driver's word means: a size in digits, or one of the words. -1 if it is
    /// none of the answers.
    [[nodiscard]] int find(std::string_view plain) const;
};

/// Combinations, by their index in Knobs::combination.
using CombinationSet = boost::dynamic_bitset<std::uint64_t>;

/// What every combination must do.
class Oracle {
  public:
    /// Reads and checks scenarios/resize/life.yaml. Throws CatalogueError with file, line and column; one of
    /// a gap or an overlap names a combination that has it.
    static Oracle load(const std::filesystem::path& file, const Knobs& knobs);

    /// The questions in the order of the life.
    [[nodiscard]] const std::vector<Question>& questions() const { return questions_; }
    /// The index of a question; throws std::out_of_range for a name that there is not.
    [[nodiscard]] std::size_t question(std::string_view name) const;

    /// The expected answer to each question, as an index into its `answers`. `combination` is below
    /// Knobs::count().
    [[nodiscard]] std::span<const std::uint8_t> answers(std::size_t combination) const {
        return std::span(answers_).subspan(combination * questions_.size(), questions_.size());
    }
    /// One of them.
    [[nodiscard]] const Answer& answer(std::size_t combination, std::size_t question) const {
        return questions_.at(question).answers.at(answers(combination)[question]);
    }
    /// The row that decided it.
    [[nodiscard]] const Row& row(std::size_t combination, std::size_t question) const;

    /// What conditions can be about: the knobs, in the order of Knobs::columns(), then the facts and
    /// questions.
    [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }
    /// The combinations whose knobs and expected answers meet a condition over `columns()`.
    [[nodiscard]] CombinationSet who(const When& when) const;

  private:
    friend class OracleReader;

    std::vector<Column> columns_;
    std::vector<std::vector<CombinationSet>> sets_; ///< by column, by value
    std::vector<Question> questions_;
    std::vector<std::uint8_t> answers_; ///< combinations x questions
    std::vector<std::uint8_t> rows_;    ///< likewise, an index into the question's rows
};

} // namespace harness
