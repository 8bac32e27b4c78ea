// A child with many manners, started by the tests. Each says on standard output what the test wants to know.
#include "harness/process/tests/peer.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <map>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Arguments = std::span<char*>;

void say(const std::string& text) {
    std::fputs((text + "\n").c_str(), stdout);
    std::fflush(stdout);
}

[[noreturn]] void sleep_for_ever() {
    while (true)
        ::pause();
}

int list_descriptors(Arguments) {
    for (int fd = 0; fd < 1024; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0)
            say(std::to_string(fd));
    return 0;
}

int show_activation(Arguments) {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
        const char* value = std::getenv(name);
        say(std::string(name) + "=" + (value ? value : "unset"));
    }
    say("pid=" + std::to_string(::getpid()));
    int listening = 0;
    socklen_t length = sizeof listening;
    ::getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
    say("listening=" + std::to_string(listening));
    return 0;
}

int show_group(Arguments) {
    say(std::to_string(::getpid()) + " " + std::to_string(::getpgrp()));
    return 0;
}

int ignore_term(Arguments) {
    ::signal(SIGTERM, SIG_IGN);
    say("ready");
    sleep_for_ever();
}

// A second process in the same group, deaf to SIGTERM; the first one ends at once.
int leave_group_member(Arguments) {
    ::signal(SIGTERM, SIG_IGN);
    const pid_t pid = ::fork();
    if (pid == 0)
        sleep_for_ever();
    say(std::to_string(pid));
    return 3;
}

// A process in a session of its own, whose parent and grandparent have ended.
int leave_daemon(Arguments) {
    if (const pid_t child = ::fork(); child != 0)
        return ::waitpid(child, nullptr, 0) == child ? 0 : 1;
    ::setsid();
    ::signal(SIGTERM, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    if (const pid_t daemon = ::fork(); daemon != 0) {
        say(std::to_string(daemon));
        ::_exit(0);
    }
    for (int fd = 0; fd < 3; ++fd)
        ::close(fd);
    sleep_for_ever();
}

int die_by(Arguments arguments) {
    const int signal = std::atoi(arguments.front());
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return 0;
}

// Ends while a descendant keeps the output open.
int leave_output_open(Arguments) {
    if (::fork() == 0)
        sleep_for_ever();
    say("last line");
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::map<std::string, std::function<int(Arguments)>> manners{
        {"descriptors", list_descriptors},
        {"activation", show_activation},
        {"group", show_group},
        {"ignore-term", ignore_term},
        {"group-member", leave_group_member},
        {"daemon", leave_daemon},
        {"die-by", die_by},
        {"output-open", leave_output_open},
        {"runner", [](Arguments) { return peer::run_runner(); }},
        {"interruptible", peer::run_interruptible},
    };
    const auto found = argc > 1 ? manners.find(argv[1]) : manners.end();
    if (found == manners.end()) {
        std::fputs("process-test-peer: no such manner\n", stderr);
        return 2;
    }
    return found->second(Arguments(argv + 2, static_cast<std::size_t>(argc - 2)));
}
