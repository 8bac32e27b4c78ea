#include "harness/process/interrupt.hpp"

#include "harness/process/errors.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace harness::interrupt {
namespace {

constexpr std::array handled_signals{SIGINT, SIGTERM, SIGHUP};

// One keystroke or one kill may arrive twice: timeout(1), for one, signals its child and then the group of
// the child. Only what comes later than this is the impatient second request.
constexpr std::int64_t same_request_ns = 300'000'000;

std::atomic<int> first_signal{0};
std::atomic<std::int64_t> first_time_ns{0};
std::atomic<int> event_fd{-1};

static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free,
              "used in a signal handler");

std::int64_t now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void on_signal(int signal) noexcept {
    const int saved = errno;
    if (first_signal.load() != 0 && now_ns() - first_time_ns.load() > same_request_ns)
        ::_exit(128 + signal);
    request(signal);
    errno = saved;
}

void handle(int signal) {
    struct sigaction old {};
    if (::sigaction(signal, nullptr, &old) != 0)
        throw std::system_error(errno, std::generic_category(), "sigaction");
    if (old.sa_handler == SIG_IGN)
        return;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    if (::sigaction(signal, &action, nullptr) != 0)
        throw std::system_error(errno, std::generic_category(), "sigaction");
}

} // namespace

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            throw std::system_error(errno, std::generic_category(), "eventfd");
        event_fd.store(fd);
        if (requested())
            request(signal_number());
        for (const int signal : handled_signals)
            handle(signal);
    });
}

bool requested() noexcept {
    return first_signal.load() != 0;
}

int signal_number() noexcept {
    return first_signal.load();
}

void request(int signal) noexcept {
    std::int64_t unset = 0;
    first_time_ns.compare_exchange_strong(unset, now_ns());
    int none = 0;
    first_signal.compare_exchange_strong(none, signal);
    const std::uint64_t one = 1;
    if (const int fd = event_fd.load(); fd >= 0)
        static_cast<void>(::write(fd, &one, sizeof one) == sizeof one);
}

void throw_if_requested() {
    if (requested())
        throw Interrupted();
}

int descriptor() noexcept {
    return event_fd.load();
}

bool poll_until(std::span<pollfd> fds, std::chrono::steady_clock::time_point deadline, bool interruptible) {
    // The interrupt's descriptor goes last, so that the caller's own keep their places.
    constexpr std::size_t max_fds = 7;
    if (fds.size() > max_fds)
        throw std::invalid_argument("poll_until: too many descriptors");
    std::array<pollfd, max_fds + 1> all{};
    std::copy(fds.begin(), fds.end(), all.begin());
    all[fds.size()] = {interruptible ? descriptor() : -1, POLLIN, 0};

    while (true) {
        if (interruptible)
            throw_if_requested();
        const auto left = std::max(std::chrono::nanoseconds(deadline - std::chrono::steady_clock::now()),
                                   std::chrono::nanoseconds(0));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        const timespec timeout{static_cast<time_t>(seconds.count()),
                               static_cast<long>((left - seconds).count())};
        const int ready = ::ppoll(all.data(), fds.size() + 1, &timeout, nullptr);
        if (ready < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        if (ready == 0)
            return false;
        if (interruptible)
            throw_if_requested();
        std::copy_n(all.begin(), fds.size(), fds.begin());
        if (ready > 0 &&
            std::any_of(fds.begin(), fds.end(), [](const pollfd& fd) { return fd.revents != 0; }))
            return true;
    }
}

} // namespace harness::interrupt
