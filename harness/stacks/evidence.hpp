#pragma once

// What the cases of the qcow2 stacks say to an open question of the RESIZE extension: evidence.yaml says what
// is counted.

#include "harness/stacks/suite.hpp"
#include "reports/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace harness {

/// Counts among the cases of a run.
class StackEvidence {
  public:
    /// Reads evidence.yaml. Throws CatalogueError with file, line and column; a count for which the suite has
    /// no case is a mistake, and so is one of an observation that the scenarios do not record.
    static StackEvidence load(const std::filesystem::path& file, const StackSuite& suite);

    /// Adds what the cases say to the run's answer to the question. `results` are those of `cases`, in their
    /// order.
    void add_to(reports::RunResult& run, const std::vector<StackCase>& cases,
                const std::vector<reports::CaseResult>& results) const;

  private:
    /// Of the cases carried out that meet the conditions, those in which a recorded answer matches.
    struct Count {
        std::string says;
        std::vector<std::string> scenarios; ///< patterns
        Conditions among;
        std::string record;
        std::vector<std::string> answers; ///< patterns
    };
    struct Reproduction {
        std::string says;
        std::string run;
    };

    [[nodiscard]] static bool concerns(const Count& count, const StackCase& item);
    [[nodiscard]] static bool is_so(const Count& count, const reports::CaseResult& result);

    std::string question_;
    std::string title_;
    std::string about_;
    std::vector<Count> counts_;
    std::vector<Reproduction> reproductions_;
};

} // namespace harness
