#pragma once

// The views of a run that several reports share: counts, the matrix, problems grouped, observations grouped.
// All of them point into the run that they are made from, which has to outlive them.

#include "reports/result.hpp"

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace reports {

/// How many cases have which verdict.
class Tally {
  public:
    /// Counts one more case.
    void add(const CaseResult& result);

    [[nodiscard]] std::size_t operator[](Verdict verdict) const {
        return by_verdict_[static_cast<std::size_t>(verdict)];
    }
    /// Cases in all.
    [[nodiscard]] std::size_t total() const;
    /// Cases whose scenario was carried out: all but the unsupported ones.
    [[nodiscard]] std::size_t executed() const { return total() - (*this)[Verdict::unsupported]; }
    /// Cases that are listed deviations; they are counted under their verdict too.
    [[nodiscard]] std::size_t known() const { return known_; }
    /// Cases with a fail, warn, timeout, crash or error that is not a listed deviation.
    [[nodiscard]] std::size_t unlisted() const { return unlisted_; }

  private:
    std::array<std::size_t, all_verdicts.size()> by_verdict_{};
    std::size_t known_ = 0;
    std::size_t unlisted_ = 0;
};

/// The counts of a whole run.
[[nodiscard]] Tally tally(const RunResult& run);

/// True for fail, warn, timeout, crash and error.
[[nodiscard]] bool is_problem(Verdict verdict);

/// How bad a verdict is: the higher the worse. For sorting and for the colour of a cell.
[[nodiscard]] int severity(Verdict verdict);

/// One character that stands for the verdict: ✓ ✗ ⚠ – ◷ ☠ ‼
[[nodiscard]] std::string_view symbol(Verdict verdict);

/// The verdict of several cases as people say it: "passed", "failed", …, "timed out"
[[nodiscard]] std::string_view past_tense(Verdict verdict);

/// What the run says about a peer of that role ("server" or "client"); null if it names none such.
[[nodiscard]] const PeerInfo* find_peer(const RunResult& run, std::string_view role, std::string_view name);

/// The version of a peer, "unknown version" if the run names none.
[[nodiscard]] std::string version_of(const RunResult& run, std::string_view role, std::string_view name);

/// "nbdkit", or "nbdkit+no-sr" for another variant than the default.
[[nodiscard]] std::string label(const PeerId& peer);

/// A row or a column of the matrix.
struct Seat {
    PeerId peer;
    bool installed = true; ///< false for a peer that the catalogue names and this machine does not have

    bool operator==(const Seat&) const = default;
};

/// Server by client, each with its variants, in the catalogue's order.
struct Matrix {
    struct Cell {
        Tally tally;
        std::vector<const CaseResult*> cases; ///< in the run's order
    };

    std::vector<Seat> servers;
    std::vector<Seat> clients;
    std::vector<std::vector<Cell>> cells; ///< cells[server][client]
};

[[nodiscard]] Matrix make_matrix(const RunResult& run);

/// Findings that say the same thing: the same deviation, or the same requirement, about the same peer.
struct Problem {
    Verdict verdict = Verdict::fail;
    Party party = Party::undecided;
    std::string peer;        ///< "nbdkit"; "nbdkit × libnbd" if it is undecided which of the two it was
    std::string version;     ///< the version of it, or of both
    std::string who;         ///< peer and version: "nbdkit 1.32.5", "nbdkit 1.32.5 × libnbd 1.14.2"
    std::string deviation;   ///< empty if it is not listed
    std::string requirement; ///< empty if none applies
    std::string message;     ///< of the first finding, one of possibly many wordings
    std::set<std::string> scenarios;
    std::set<std::string> counterparts; ///< the names of the peers on the other side
    std::vector<const CaseResult*> cases;
};

/// Every problem of the run: what is not listed as a deviation first, the more severe first.
[[nodiscard]] std::vector<Problem> find_problems(const RunResult& run);

/// What the run quotes about a deviation or a requirement; null if nothing.
[[nodiscard]] const DeviationInfo* find_deviation(const RunResult& run, std::string_view id);
[[nodiscard]] const RequirementInfo* find_requirement(const RunResult& run, std::string_view id);

/// The same reason for `unsupported`, given for the same peer.
struct Unsupported {
    std::string reason;
    Party party = Party::none;
    std::string peer; ///< empty if the run does not say which peer cannot
    std::size_t cases = 0;
    std::set<std::string> scenarios;
};

/// Most frequent first.
[[nodiscard]] std::vector<Unsupported> find_unsupported(const RunResult& run);

/// One answer that cases of one server gave to a question.
struct Answer {
    std::string text;
    std::string
        qualifier; ///< who gave this answer, if it is an exception: "qcow2", "with libnbd", "3 of 12 cases"
};

/// A question of a scenario with every server's answers.
struct Question {
    std::string text;
    std::vector<std::vector<Answer>>
        answers; ///< by server, as in `ObservedScenario::servers`; most frequent first
};

/// What a scenario recorded without judging it.
struct ObservedScenario {
    std::string scenario;
    std::string title;
    std::vector<std::string> servers; ///< the names of those that any answer is about
    std::vector<Question> questions;
};

/// In the order in which the run first mentions them.
[[nodiscard]] std::vector<ObservedScenario> find_observations(const RunResult& run);

} // namespace reports
