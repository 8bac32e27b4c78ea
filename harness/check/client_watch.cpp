#include "harness/check/client_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace harness::check {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// Clients mostly end within milliseconds; memory is looked at later and later.
constexpr auto first_look = 20ms;
constexpr auto last_look = 200ms;

/// Processes below which nobody looks further: a client that forks without end meets its time limit.
constexpr int deepest = 8;

std::uint64_t resident(pid_t pid, int depth) {
    std::ifstream statm(fmt::format("/proc/{}/statm", pid));
    std::uint64_t all = 0;
    std::uint64_t pages = 0;
    if (!(statm >> all >> pages)) {
        return 0;
    }
    std::uint64_t bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", pid));
    for (pid_t child = 0; depth < deepest && children >> child;) {
        bytes += resident(child, depth + 1);
    }
    return bytes;
}

} // namespace

std::uint64_t resident_memory(pid_t pid) {
    return resident(pid, 0);
}

Watched watch(Process& process, Clock::time_point deadline, std::uint64_t memory_limit) {
    Watched result;
    std::chrono::milliseconds pause = first_look;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (process.wait_for(std::clamp(left, 0ms, pause))) {
            return result;
        }
        result.memory = std::max(result.memory, resident_memory(process.pid()));
        result.grew = result.memory > memory_limit;
        result.timed_out = !result.grew && Clock::now() >= deadline;
        if (result.grew || result.timed_out) {
            return result;
        }
        pause = std::min(pause * 2, std::chrono::milliseconds(last_look));
    }
}

} // namespace harness::check
