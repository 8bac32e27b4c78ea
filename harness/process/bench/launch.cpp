// What starting a program and waiting for it costs: this room against the C library's posix_spawn, and
// against a shell's loop. Usage: bench-launch [COUNT] [MiB of memory that the starting program has in use].
#include "harness/process/process.hpp"
#include "harness/process/workspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <spawn.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// The processor time of this program and of the children it has waited for.
double cpu_microseconds() {
    double total = 0;
    for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        rusage usage{};
        ::getrusage(who, &usage);
        for (const timeval& time : {usage.ru_utime, usage.ru_stime})
            total += static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    }
    return total;
}

struct Cost {
    double elapsed = 1e9, cpu = 1e9; // microseconds for one child
};

Cost measure(int count, const std::function<void()>& all) {
    const double cpu = cpu_microseconds();
    const auto begin = Clock::now();
    all();
    const double elapsed = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    return {elapsed / count, (cpu_microseconds() - cpu) / count};
}

void spawn(std::vector<std::string> argv) {
    std::vector<char*> pointers;
    for (std::string& argument : argv)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_t pid = 0;
    if (::posix_spawnp(&pid, pointers[0], nullptr, nullptr, pointers.data(), environ) != 0)
        std::abort();
    ::waitpid(pid, nullptr, 0);
}

} // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
    const std::size_t megabytes = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 16;
    const std::vector<char> memory(megabytes << 20, 'x');
    const harness::Workspace workspace;

    const auto with = [&](bool log, bool capture) {
        return [&, log, capture] {
            harness::Launch launch;
            launch.argv = {"/bin/true"};
            launch.capture_stdout = capture;
            if (log)
                launch.log = workspace.path() / "log";
            for (int i = 0; i < count; ++i)
                harness::Process::start(launch).wait_for(10s);
        };
    };
    struct Way {
        const char* name;
        std::function<void()> run;
        Cost best{};
    };
    std::vector<Way> ways{
        {"posix_spawn",
         [&] {
             for (int i = 0; i < count; ++i)
                 spawn({"/bin/true"});
         }},
        {"shell loop",
         [&] {
             spawn({"/bin/sh", "-c",
                    fmt::format("i=0; while [ $i -lt {} ]; do /bin/true; i=$((i+1)); done", count)});
         }},
        {"Process", with(false, false)},
        {"Process, log", with(true, false)},
        {"Process, log and output", with(true, true)},
    };
    constexpr int rounds = 5;
    for (int round = 0; round < rounds; ++round)
        for (Way& way : ways) {
            const Cost cost = measure(count, way.run);
            way.best = {std::min(way.best.elapsed, cost.elapsed), std::min(way.best.cpu, cost.cpu)};
        }
    const Cost base = ways.front().best;
    fmt::print("{:<26}{:>24}{:>24}\n", "per child, best of " + std::to_string(rounds), "elapsed",
               "processor");
    for (const auto& [name, run, best] : ways)
        fmt::print("{:<26}{:9.1f} us ({:5.2f} x)    {:9.1f} us ({:5.2f} x)\n", name, best.elapsed,
                   best.elapsed / base.elapsed, best.cpu, best.cpu / base.cpu);
    return 0;
}
