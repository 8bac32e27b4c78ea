#pragma once

#include "harness/process/process.hpp"
#include "harness/process/workspace.hpp"

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

/// What the tests of this room share.
namespace harness::testing_support {

/// Long enough for a loaded machine and a sanitizer; no test's outcome depends on its being shorter.
inline constexpr std::chrono::seconds generous{60};

inline Process::Clock::time_point generous_deadline() {
    return Process::Clock::now() + generous;
}

inline Launch capturing(std::vector<std::string> argv) {
    Launch launch;
    launch.argv = std::move(argv);
    launch.capture_stdout = true;
    return launch;
}

inline Launch peer(std::vector<std::string> manner) {
    manner.insert(manner.begin(), PROCESS_TEST_PEER);
    return capturing(std::move(manner));
}

inline Launch shell(const std::string& script) {
    return capturing({"sh", "-c", script});
}

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Everything the child writes until it ends.
inline std::string output_of(const Launch& launch) {
    Process child = Process::start(launch);
    if (!child.wait_for(generous))
        return "still running";
    return child.take_output();
}

/// Does `pid` run? A zombie that its new parent has not reaped yet does not.
inline bool alive(pid_t pid) {
    const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] != 'Z' &&
           stat[name_end + 2] != 'X';
}

/// Waits until `condition` holds; false if it never does.
inline bool eventually(const std::function<bool()>& condition) {
    const auto deadline = generous_deadline();
    while (!condition()) {
        if (Process::Clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

} // namespace harness::testing_support
