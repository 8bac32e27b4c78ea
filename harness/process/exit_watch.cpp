#include "harness/process/exit_watch.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace harness {

// Called as system calls: the C library's declarations cannot be used from C++ in every supported version.
UniqueFd open_pidfd(pid_t pid) noexcept {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool signal_pidfd(int pidfd, int signal) noexcept {
    return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0;
}

UniqueFd watch_with_thread(pid_t pid) {
    UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    UniqueFd own(event.valid() ? ::fcntl(event.get(), F_DUPFD_CLOEXEC, 0) : -1);
    if (!own.valid())
        throw std::system_error(errno, std::generic_category(), "cannot watch a child process");
    // Detached: it ends with the child, and owns what it uses.
    std::thread([pid, fd = std::move(own)] {
        siginfo_t info{};
        while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
        }
        const std::uint64_t one = 1;
        static_cast<void>(::write(fd.get(), &one, sizeof one) == sizeof one);
    }).detach();
    return event;
}

} // namespace harness
