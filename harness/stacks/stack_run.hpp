#pragma once

#include "harness/run/versions.hpp"
#include "harness/stacks/suite.hpp"
#include "reports/result.hpp"

#include <filesystem>

namespace harness {

class Workspace;

/// What every case of a run shares.
struct StackPlace {
    const StackSuite* suite = nullptr;
    const Versions* versions = nullptr;
    std::filesystem::path programs; ///< the project's own
    Workspace* workspace = nullptr; ///< gone after the run
    std::filesystem::path out;      ///< kept: cases/ID/…
    bool judged = true;             ///< a tap stands before the server, and the wire judge looks on
};

/// Carries a case out and judges it. Whatever the peers do ends in a verdict. Throws Interrupted only.
[[nodiscard]] reports::CaseResult run_stack(const StackCase& item, const StackPlace& place);

} // namespace harness
