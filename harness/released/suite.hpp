#pragma once

// The suites that put released peers together with a reference in each configuration of the RESIZE knobs:
// scenarios/resize/clients/suite.yaml, scenarios/resize/servers/suite.yaml.

#include "harness/catalogue/catalogue.hpp"
#include "harness/knobs/knobs.hpp"
#include "harness/run/selection.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace harness {

/// A suite, made into a catalogue of its own: the released peers of the project's catalogue on one side, or a
/// peers of the suite in their place, and on the other one peer, each variant of which is a configuration of
/// the knobs; perhaps more of them, which have a part of the knobs.
struct ReleasedSuite {
    std::string name; ///< "resize-clients"
    std::string title;
    std::string about;                 ///< who takes part, for the table
    Side configured = Side::server;    ///< whose knobs are set
    std::vector<std::string> released; ///< patterns of those who take part unless the user chooses others
    std::vector<std::string> peers;    ///< names of those that are configured, at least one
    Catalogue catalogue;
};

/// Which configurations of the knobs are taken.
struct KnobSelection {
    std::size_t every = 1;           ///< the step with which they are taken, at least 1
    std::vector<std::string> wanted; ///< knobs with the values that they have to have, "growth=both"
    std::vector<std::string> faults; ///< rules that the configured side is to break
};

/// What a decision table calls a knob of the configured side: "knob.growth".
[[nodiscard]] std::string knob_fact(const Knob& knob);

/// Reads a suite. Throws CatalogueError with file, line and column, SelectionError for a knob or value that
/// there is not.
[[nodiscard]] ReleasedSuite load_released_suite(const std::filesystem::path& file, const Catalogue& base,
                                                const Knobs& knobs, const KnobSelection& selection);

} // namespace harness
