#pragma once

// Running a suite of lives: every combination asked for, on one server, by several clients at a time.

#include "harness/exhaustive/life_suite.hpp"
#include "harness/knobs/oracle.hpp"
#include "harness/run/wire_record.hpp"
#include "reports/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace harness {

class Workspace;

/// An answer that was not the expected one.
struct WrongAnswer {
    std::size_t question = 0;
    std::string expected; ///< as the tables write it
    std::string came;
    std::string row; ///< the row that decided: "scenarios/resize/life.yaml:120:3"
};

/// A combination that did not live as it should.
struct UnexpectedLife {
    std::size_t combination = 0;
    reports::Verdict verdict = reports::Verdict::fail;
    reports::Party party = reports::Party::undecided;
    std::string reason; ///< for a life that came to no end
    std::vector<WrongAnswer> wrong;
};

/// What came of a run.
struct Lives {
    std::size_t executed = 0;
    double seconds = 0;
    std::size_t unexpected_count = 0;
    std::vector<UnexpectedLife> unexpected; ///< in the order of the combinations, at most `most_unexpected`
    CombinationSet as_expected;             ///< those that lived as they should
    std::size_t judged_connections = 0;     ///< on the wire, to their ends
    std::vector<WireFinding> wire;          ///< what the wire judge found, but for what lives provoke
};

/// More unexpected lives than this are counted, but not kept.
inline constexpr std::size_t most_unexpected = 20000;

/// What a run of lives needs.
struct LifePlace {
    const LifeSuite* suite = nullptr;
    const Knobs* knobs = nullptr;
    const Oracle* oracle = nullptr;
    std::filesystem::path programs; ///< {bin}
    Workspace* workspace = nullptr;
    std::filesystem::path logs; ///< an existing folder
    // Rules that the peers are to break, by the names of their faults: for tests of the suite itself.
    std::vector<std::string> server_faults = {};
    std::vector<std::string> client_faults = {};
    bool fail_fast = false; ///< nothing more is begun after the first life that is not as expected
};

/// Leads the lives of these combinations (indices of Knobs::combination), `clients` at a time. `on_progress`
/// is called now and then, from any thread, one at a time, with the number that is done. A peer that ends or
/// hangs costs its combination a verdict, and is started again. Throws LaunchError and PeerGone if it cannot
/// be started at all; CatalogueError if the driver asks other questions than the tables; Interrupted.
[[nodiscard]] Lives lead_lives(const LifePlace& place, const std::vector<std::size_t>& combinations,
                               unsigned clients, const std::function<void(std::size_t done)>& on_progress);

} // namespace harness
