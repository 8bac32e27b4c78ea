#pragma once

#include "harness/process/process.hpp"

#include <chrono>
#include <cstdint>

namespace harness::check {

/// What came of waiting for a client.
struct Watched {
    bool timed_out = false;
    bool grew = false;
    std::uint64_t memory = 0; ///< the most that was seen; bytes
};

/// Waits until the process ends, the deadline has passed, or it and its descendants have more memory than
/// they may. Ends nothing. Throws Interrupted.
[[nodiscard]] Watched watch(Process& process, std::chrono::steady_clock::time_point deadline,
                            std::uint64_t memory_limit);

/// The resident memory of a process and its descendants, in bytes; 0 if there is no such process.
[[nodiscard]] std::uint64_t resident_memory(pid_t pid);

} // namespace harness::check
