// in-foreground COMMAND …: runs a server that insists on becoming a daemon as if it stayed in the foreground.
//
// The command's descendants become children of this process when their parents end. It ends when the last of
// them has ended, in the same way as that one did, or by the first signal that killed one of them: a daemon's
// helpers may outlive it, or crash before it. It passes SIGTERM on to them. The output of a daemon is its own
// affair.
//
// Exit codes: that of the command if it fails to become a daemon, else the daemon's; 127 if there is no such
// command.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr int exit_usage = 2;
constexpr int exit_no_command = 127;

sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

/// Sends a signal to everything that is a child of this process now.
void signal_children(int signal) {
    const std::string self = std::to_string(getpid());
    std::ifstream children("/proc/self/task/" + self + "/children");
    for (pid_t child = 0; children >> child;) {
        kill(child, signal);
    }
}

/// Ends this process as the status of another one says.
[[noreturn]] void end_like(int status) {
    if (WIFSIGNALED(status)) {
        const int signal = WTERMSIG(status);
        std::signal(signal, SIG_DFL);
        const sigset_t signals = watched_signals();
        sigprocmask(SIG_UNBLOCK, &signals, nullptr);
        raise(signal);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: in-foreground COMMAND [ARGUMENT …]\n");
        return exit_usage;
    }
    const sigset_t signals = watched_signals();
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t launcher = fork();
    if (launcher == 0) {
        sigprocmask(SIG_UNBLOCK, &signals, nullptr);
        execvp(argv[1], argv + 1);
        std::fprintf(stderr, "in-foreground: %s: %s\n", argv[1], std::strerror(errno));
        _exit(exit_no_command);
    }
    int final_status = 0;
    for (;;) {
        int status = 0;
        const pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended > 0) {
            // The command may well be told of after its daemon, if that ends at once.
            if (ended != launcher) {
                final_status = WIFSIGNALED(final_status) ? final_status : status;
            } else if (status != 0) {
                end_like(status);
            }
        } else if (ended < 0) {
            end_like(final_status); // nobody is left
        } else if (const int signal = sigwaitinfo(&signals, nullptr); signal == SIGTERM || signal == SIGINT) {
            signal_children(signal);
        }
    }
}
