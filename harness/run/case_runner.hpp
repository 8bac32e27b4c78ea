#pragma once

#include "harness/catalogue/catalogue.hpp"
#include "harness/run/selection.hpp"
#include "harness/run/versions.hpp"
#include "reports/result.hpp"

#include <filesystem>

namespace harness {

class FactBook;
class ServerPool;
class Workspace;

/// What every case of a run shares.
struct RunPlace {
    const Catalogue* catalogue = nullptr;
    const Versions* versions = nullptr;
    std::filesystem::path programs; ///< the project's own programs
    Workspace* workspace = nullptr; ///< gone after the run
    ServerPool* pool = nullptr;
    std::filesystem::path out; ///< kept: cases/ID/…
    bool judged = true;        ///< a tap stands between the peers, and the wire judge looks on
};

/// Runs a case from the server's start to its end and judges it. Whatever the peers do ends in a verdict.
/// Throws Interrupted only.
[[nodiscard]] reports::CaseResult run_case(const Case& item, const RunPlace& place, FactBook& facts);

} // namespace harness
