#include "harness/process/marker.hpp"

#include "harness/process/exit_watch.hpp"
#include "harness/process/fd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <unistd.h>

namespace harness {
namespace {

using Clock = std::chrono::steady_clock;
using Matches = std::function<bool(std::string_view value)>;

// Empty if the process is gone, a zombie, a kernel thread or somebody else's.
std::string read_environment(pid_t pid) {
    constexpr std::size_t most = std::size_t{4} << 20;
    const UniqueFd file(::open(fmt::format("/proc/{}/environ", pid).c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!file.valid())
        return text;
    char block[16384];
    while (text.size() < most) {
        const ssize_t count = ::read(file.get(), block, sizeof block);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        text.append(block, static_cast<std::size_t>(count));
    }
    return text;
}

std::optional<std::string_view> find_variable(std::string_view environment, std::string_view name) {
    while (!environment.empty()) {
        const std::size_t end = std::min(environment.find('\0'), environment.size());
        const std::string_view entry = environment.substr(0, end);
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return entry.substr(name.size() + 1);
        environment.remove_prefix(std::min(end + 1, environment.size()));
    }
    return std::nullopt;
}

bool is_janitor(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/comm", pid));
    std::string name;
    return std::getline(file, name) && name == janitor_name;
}

// One pass over /proc; how many processes it sent SIGKILL.
std::size_t kill_once(std::string_view variable, const Matches& matches) {
    struct CloseDir {
        void operator()(DIR* directory) const { ::closedir(directory); }
    };
    const std::unique_ptr<DIR, CloseDir> proc(::opendir("/proc"));
    if (!proc)
        return 0;
    std::size_t killed = 0;
    while (const dirent* entry = ::readdir(proc.get())) {
        const std::string_view name = entry->d_name;
        pid_t pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size() || pid == ::getpid())
            continue;
        // Taken before the environment is read: should the number be given to another process in between,
        // the signal goes to nobody rather than to a stranger.
        const UniqueFd handle = open_pidfd(pid);
        const std::string environment = read_environment(pid);
        const auto value = find_variable(environment, variable);
        // A janitor inherits the marks of outer runs. It ends by itself, and has to clean up before that.
        if (!value || !matches(*value) || is_janitor(pid))
            continue;
        if (handle.valid() ? signal_pidfd(handle.get(), SIGKILL) : ::kill(pid, SIGKILL) == 0)
            ++killed;
    }
    return killed;
}

Sweep kill_all(std::string_view variable, const Matches& matches, std::chrono::milliseconds limit) {
    using namespace std::chrono_literals;
    const auto deadline = Clock::now() + limit;
    Sweep sweep;
    auto pause = 1ms;
    // A process in the middle of execve() shows no environment for a moment, so one empty pass proves
    // nothing.
    for (int empty_passes = 0; empty_passes < 2;) {
        const std::size_t found = kill_once(variable, matches);
        // A process that is killed but not gone yet is met again: the first pass counts, the later ones only
        // add what was forked meanwhile, so that the number stays a sensible one for messages.
        sweep.killed = std::max(sweep.killed, found);
        empty_passes = found == 0 ? empty_passes + 1 : 0;
        if (empty_passes == 2) {
            sweep.clean = true;
        } else if (Clock::now() >= deadline) {
            break;
        } else {
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, std::chrono::milliseconds(20));
        }
    }
    return sweep;
}

bool names_run(std::string_view value, std::string_view id) {
    while (true) {
        const std::size_t dot = std::min(value.find('.'), value.size());
        if (value.substr(0, dot) == id)
            return true;
        if (dot == value.size())
            return false;
        value.remove_prefix(dot + 1);
    }
}

} // namespace

const std::string& run_id() {
    static const std::string id = [] {
        std::random_device random;
        return fmt::format("{:08x}{:08x}", random(), random());
    }();
    return id;
}

const std::string& run_value() {
    static const std::string value = [] {
        const char* outer = std::getenv(std::string(run_variable).c_str());
        return outer && *outer ? fmt::format("{}.{}", outer, run_id()) : run_id();
    }();
    return value;
}

Sweep kill_marked(std::string_view id, std::chrono::milliseconds limit) {
    return kill_all(
        run_variable, [id](std::string_view value) { return names_run(value, id); }, limit);
}

Sweep kill_marked(std::string_view variable, std::string_view value, std::chrono::milliseconds limit) {
    return kill_all(
        variable, [value](std::string_view found) { return found == value; }, limit);
}

} // namespace harness
