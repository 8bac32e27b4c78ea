#pragma once

// What the lives of a run say to those who write the specification: scenarios/resize/evidence.yaml says what
// is counted, the run says how often it was so.

#include "harness/knobs/oracle.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace harness {

/// Something to count: of the lives that meet `among`, those that meet `when` too.
struct Count {
    std::string says; ///< a sentence, or the head of a column
    When among;       ///< in columns of Oracle::columns(); empty: all lives
    When when;
};

/// What one side's knobs have to do with the other's: a table of server by client, one count in each cell.
struct Crossing {
    Count count;
    std::vector<std::size_t> rows;    ///< knobs: columns of Oracle::columns()
    std::vector<std::size_t> columns; ///< likewise
};

/// A question of those who write the specification.
struct OpenQuestion {
    std::string question;
    std::vector<Count> counts;
    std::string beyond; ///< what lives do not show, and where it is shown; may be empty
};

/// What is counted.
class Evidence {
  public:
    /// Reads scenarios/resize/evidence.yaml. Throws CatalogueError with file, line and column; a condition
    /// that no combination meets is a mistake.
    static Evidence load(const std::filesystem::path& file, const Knobs& knobs, const Oracle& oracle);

    /// Adds tables and questions, counted among these lives, all of which were as the oracle says, to a run.
    void add_to(reports::RunResult& run, const Knobs& knobs, const Oracle& oracle,
                const CombinationSet& lives) const;

  private:
    std::string about_;          ///< of the table knob by knob
    std::vector<Count> columns_; ///< of the table knob by knob
    std::vector<Crossing> crossings_;
    std::vector<OpenQuestion> questions_;
};

} // namespace harness
