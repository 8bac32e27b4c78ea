#include "harness/process/janitor.hpp"

#include "harness/process/exit_watch.hpp"
#include "harness/process/interrupt.hpp"
#include "harness/process/marker.hpp"
#include "harness/process/workspace.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <poll.h>
#include <set>
#include <sstream>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace harness {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Messages on the connection: one of these, followed by a path except for the last.
constexpr char watch_message = '+';
constexpr char unwatch_message = '-';
constexpr char finish_message = '.';
// The janitor's own: from now on it survives what ends the runner.
constexpr char ready_message = '!';

constexpr auto sweep_limit = 10s;

std::atomic<int> connection{-1};

// What the runner has told its janitor, for the case that there is no janitor any more.
std::mutex watched_mutex;
std::set<std::string>& watched() {
    static std::set<std::string> paths;
    return paths;
}

Janitor::Leftovers clean_up(const std::set<std::string>& directories) {
    Janitor::Leftovers found;
    const Sweep sweep = kill_marked(run_id(), sweep_limit);
    found.processes = sweep.killed;
    found.clean = sweep.clean;
    for (const std::string& directory : directories) {
        struct stat info {};
        // Never more than what the run made: a real directory, and its own.
        if (::lstat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
            continue;
        ++found.directories;
        found.clean = remove_tree(directory) && found.clean;
    }
    return found;
}

// Changes what ps and pkill show: the name, and the command line where the kernel finds it.
void rename_process() {
    ::prctl(PR_SET_NAME, janitor_name.data());
    std::ifstream file("/proc/self/stat");
    std::ostringstream text;
    text << file.rdbuf();
    const std::string stat = text.str();
    // The fields after the name, which is in parentheses and may contain anything, count from the third.
    std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
    constexpr int arg_start_field = 48, first_field = 3;
    std::string skipped;
    for (int field = first_field; field < arg_start_field; ++field)
        fields >> skipped;
    std::uintptr_t begin = 0, end = 0;
    if (!(fields >> begin >> end) || begin == 0 || end <= begin)
        return;
    char* const line = reinterpret_cast<char*>(begin); // NOLINT(performance-no-int-to-ptr)
    const std::size_t size = end - begin;
    std::memset(line, 0, size);
    std::memcpy(line, janitor_name.data(), std::min(janitor_name.size(), size - 1));
}

// Leaves everything of the runner's behind but the connection, which becomes descriptor 3.
void detach(int fd) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM})
        ::signal(signal, SIG_IGN);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR);
    constexpr int place = 3;
    const int moved = ::fcntl(fd, F_DUPFD, place + 1);
    for (int standard = 0; standard < place; ++standard)
        ::dup2(null, standard);
    ::dup2(moved, place);
    if (::syscall(SYS_close_range, place + 1, ~0U, 0) != 0)
        for (int other = place + 1, most = static_cast<int>(::sysconf(_SC_OPEN_MAX)); other < most; ++other)
            ::close(other);
    static_cast<void>(::chdir("/") == 0);
    ::umask(077);
}

[[noreturn]] void run_janitor(int runner) {
    rename_process();
    detach(runner);
    constexpr int fd = 3;
    static_cast<void>(::send(fd, &ready_message, 1, MSG_NOSIGNAL) == 1);
    std::set<std::string> directories;
    bool asked = false;
    std::string message(8192, '\0');
    while (!asked) {
        const ssize_t count = ::recv(fd, message.data(), message.size(), 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break; // the runner and all copies of its end are gone
        const std::string path(message, 1, static_cast<std::size_t>(count) - 1);
        if (message[0] == watch_message)
            directories.insert(path);
        else if (message[0] == unwatch_message)
            directories.erase(path);
        else
            asked = true;
    }
    const Janitor::Leftovers found = clean_up(directories);
    if (asked)
        static_cast<void>(::send(fd, &found, sizeof found, MSG_NOSIGNAL) == ssize_t{sizeof found});
    ::_exit(found.clean ? 0 : 1);
}

void tell(char kind, const fs::path& directory) noexcept {
    const std::string message = kind + fs::absolute(directory).string();
    {
        const std::lock_guard guard(watched_mutex);
        if (kind == watch_message)
            watched().insert(message.substr(1));
        else
            watched().erase(message.substr(1));
    }
    // Should it fail, the janitor is gone, and finish() does its work.
    if (const int fd = connection.load(); fd >= 0)
        static_cast<void>(::send(fd, message.data(), message.size(), MSG_NOSIGNAL));
}

} // namespace

Janitor::Janitor(pid_t pid, UniqueFd fd)
  : pid_(pid)
  , connection_(std::move(fd)) {}

Janitor::Janitor(Janitor&& other) noexcept
  : pid_(std::exchange(other.pid_, -1))
  , connection_(std::move(other.connection_)) {}

Janitor Janitor::start() {
    // Made here, so that both sides have the same.
    static_cast<void>(run_id());
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot start the janitor");
    UniqueFd runner(ends[0]), janitor(ends[1]);
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0)
        throw std::system_error(errno, std::generic_category(), "cannot start the janitor");
    if (pid == 0) {
        runner.reset();
        run_janitor(janitor.get());
    }
    janitor.reset();
    // Until it has detached itself, a Ctrl-C or a sweep would take it along with the runner.
    char answer = 0;
    ssize_t count = 0;
    do {
        count = ::recv(runner.get(), &answer, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count != 1 || answer != ready_message) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        throw std::system_error(ECHILD, std::generic_category(), "the janitor ended before it could begin");
    }
    connection.store(runner.get());
    return {pid, std::move(runner)};
}

Janitor::~Janitor() {
    finish();
}

Janitor::Leftovers Janitor::finish() {
    if (pid_ <= 0)
        return {};
    const pid_t pid = std::exchange(pid_, -1);
    connection.store(-1);

    Leftovers found;
    bool answered = ::send(connection_.get(), &finish_message, 1, MSG_NOSIGNAL) == 1;
    if (answered) {
        pollfd watched_fd{connection_.get(), POLLIN, 0};
        answered = interrupt::poll_until({&watched_fd, 1}, std::chrono::steady_clock::now() + 2 * sweep_limit,
                                         false) &&
                   ::recv(connection_.get(), &found, sizeof found, 0) == ssize_t{sizeof found};
    }
    connection_.reset();
    if (!answered) {
        ::kill(pid, SIGKILL);
        const std::lock_guard guard(watched_mutex);
        found = clean_up(watched());
    }
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return found;
}

void Janitor::watch(const fs::path& directory) noexcept {
    tell(watch_message, directory);
}
void Janitor::unwatch(const fs::path& directory) noexcept {
    tell(unwatch_message, directory);
}

} // namespace harness
