#pragma once

// Scenarios as data: a server's export, and the steps that a client carries out on it.

#include "harness/catalogue/step.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace harness {

/// What the export is like at the start.
struct ExportSetup {
    std::uint64_t size = 1U << 20;
    bool read_only = false;
    bool filled = false; ///< a pattern; else zeroes. Needs a server with an image
    bool sparse = false; ///< filled, but with a hole in every second 64 KiB
};

/// A scenario.
struct Scenario {
    std::string name;
    std::string title;
    std::string group;
    std::string why; ///< what breaks in the world where this goes wrong
    Position position;
    ExportSetup setup;
    Conditions server_needs;
    Conditions client_needs;
    std::vector<Step> steps;
    std::vector<std::string> provokes; ///< requirements that the steps make the client break
    double timeout = 10;               ///< for each step, in seconds

    /// What the steps need of a client, by operation: the flags used with it.
    [[nodiscard]] std::set<std::string> operations() const;
};

/// Reads a scenario file, which holds a list of scenarios.
[[nodiscard]] std::vector<Scenario> load_scenarios(const YamlNode& document, const FactVocabulary& facts,
                                                   const Requirements& requirements);

} // namespace harness
