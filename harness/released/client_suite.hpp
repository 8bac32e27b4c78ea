#pragma once

// The suite that puts released clients on a server in each configuration of the RESIZE knobs:
// scenarios/resize/clients/suite.yaml.

#include "harness/catalogue/catalogue.hpp"
#include "harness/knobs/knobs.hpp"
#include "harness/run/selection.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace harness {

/// The suite, made into a catalogue of its own: the clients of the project's catalogue, and one server, each
/// variant of which is a configuration of the knobs.
struct ClientSuite {
    std::string name; ///< "resize-clients"
    std::string title;
    std::vector<std::string> clients; ///< patterns of those who take part unless the user chooses others
    Catalogue catalogue;
};

/// What a decision table calls a knob of the server: "knob.growth".
[[nodiscard]] std::string knob_fact(const Knob& knob);

/// Reads the suite. `every` is the step with which configurations are taken, at least 1; `wanted` are knobs
/// with the values that they have to have, "growth=both"; `faults` are rules that the server is to break.
/// Throws CatalogueError with file, line and column, SelectionError for a knob or value that there is not.
[[nodiscard]] ClientSuite load_client_suite(const std::filesystem::path& file, const Catalogue& base,
                                            const Knobs& knobs, std::size_t every,
                                            const std::vector<std::string>& wanted,
                                            const std::vector<std::string>& faults);

} // namespace harness
