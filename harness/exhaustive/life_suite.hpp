#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace harness {

/// A suite that takes every combination of the knobs through a life: scenarios/resize/exhaustive.yaml.
struct LifeSuite {
    std::string name; ///< "resize-exhaustive"
    std::string title;
    std::filesystem::path life;      ///< the oracle's tables
    std::filesystem::path evidence;  ///< what is counted among the lives
    std::string server_per;          ///< a knob of the server, each value of which has a server of its own
    std::vector<std::string> server; ///< how to start it; {bin}, {socket}, {control} and {value}, that of the
                                     ///< knob, are filled in
    std::vector<std::string> client; ///< how to start its driver; {bin} is filled in
    std::size_t judge_every =
        0; ///< each combination whose number this divides is judged on the wire; 0: none
    std::vector<std::string> provokes; ///< requirements that lives make the client break on the wire
    std::string export_keys; ///< what is added to the knobs in an export name: "size=1MiB,limit=4MiB"
};

/// Reads a suite. Throws CatalogueError with file, line and column.
[[nodiscard]] LifeSuite load_life_suite(const std::filesystem::path& file);

} // namespace harness
