#include "harness/process/interrupt.hpp"
#include "harness/process/janitor.hpp"
#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/tests/peer.hpp"
#include "harness/process/workspace.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace peer {
namespace {

using namespace harness;
using namespace std::chrono_literals;

void say(const std::string& text) {
    std::cout << text << std::endl;
}

Process start(std::vector<std::string> argv, bool capture = false) {
    Launch launch;
    launch.argv = std::move(argv);
    launch.capture_stdout = capture;
    return Process::start(launch);
}

std::string self() {
    return std::filesystem::read_symlink("/proc/self/exe").string();
}

} // namespace

int run_runner() {
    Janitor janitor = Janitor::start();
    std::optional<Workspace> workspace(std::in_place);
    const std::filesystem::path folder = workspace->make_folder("case");
    const Listener listener = listen_unix(folder / "socket");
    say("janitor " + std::to_string(janitor.pid()));
    say("workspace " + workspace->path().string());

    std::vector<Process> children;
    children.push_back(start({"sleep", "1000"}));
    children.push_back(start({self(), "ignore-term"}));
    for (const Process& child : children)
        say("process " + std::to_string(child.pid()));
    for (const char* manner : {"daemon", "group-member"}) {
        children.push_back(start({self(), manner}, true));
        const auto pid = children.back().read_line(Process::Clock::now() + 60s);
        say("process " + pid.value_or("none"));
    }
    say("ready");

    std::string command;
    std::getline(std::cin, command);
    if (command == "finish") {
        children.clear();
        workspace.reset();
    }
    const Janitor::Leftovers found = janitor.finish();
    say(fmt::format("leftovers {} {} {}", found.processes > 0, found.directories, found.clean));
    // Not waiting for the destructors: what is left by now is left.
    std::cout.flush();
    ::_exit(0);
}

int run_interruptible(std::span<char*> arguments) {
    interrupt::install();
    Process child = start({"sleep", "1000"});
    say("ready");
    try {
        child.wait_for(1h);
    } catch (const Interrupted&) {
        say("interrupted " + std::to_string(interrupt::signal_number()));
    }
    if (!arguments.empty() && std::string_view(arguments.front()) == "stubborn")
        while (true)
            std::this_thread::sleep_for(1h);
    try {
        start({"true"});
    } catch (const Interrupted&) {
        say("starts nothing");
    }
    say(child.stop(1h).describe());
    return 0;
}

} // namespace peer
