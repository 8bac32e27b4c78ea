#include "reference-server/net/reactor.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>

namespace refserver {
namespace {

constexpr std::chrono::milliseconds tick_interval{250};

void control(int epoll, int operation, int descriptor, std::uint32_t events, EventSource* source) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = source;
    if (::epoll_ctl(epoll, operation, descriptor, &event) != 0) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
}

} // namespace

Reactor::Reactor()
  : epoll_(::epoll_create1(EPOLL_CLOEXEC))
  , wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!epoll_.valid() || !wake_.valid()) {
        throw std::system_error(errno, std::system_category(), "epoll_create1");
    }
    control(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), EPOLLIN, nullptr);
}

Reactor::~Reactor() = default;

void Reactor::add(int descriptor, std::uint32_t events, EventSource& source) {
    control(epoll_.get(), EPOLL_CTL_ADD, descriptor, events, &source);
}

void Reactor::modify(int descriptor, std::uint32_t events, EventSource& source) {
    control(epoll_.get(), EPOLL_CTL_MOD, descriptor, events, &source);
}

void Reactor::remove(int descriptor) {
    control(epoll_.get(), EPOLL_CTL_DEL, descriptor, 0, nullptr);
}

void Reactor::post(Task task) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = tasks_.empty();
        tasks_.push_back(std::move(task));
    }
    if (first) {
        const std::uint64_t one = 1;
        // It can only fail if the counter is full, and then the reactor wakes up anyway.
        [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
    }
}

void Reactor::stop() {
    post([this] { stopped_ = true; });
}

void Reactor::run_tasks() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    std::vector<Task> tasks;
    {
        const std::lock_guard lock(mutex_);
        tasks.swap(tasks_);
    }
    for (const Task& task : tasks) {
        task();
    }
}

void Reactor::run() {
    std::array<epoll_event, 64> events;
    auto next_tick = std::chrono::steady_clock::now();
    while (!stopped_) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       tick_ ? static_cast<int>(tick_interval.count()) : -1);
        if (count < 0 && errno != EINTR) {
            throw std::system_error(errno, std::system_category(), "epoll_wait");
        }
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events.at(static_cast<std::size_t>(i));
            if (event.data.ptr == nullptr) {
                run_tasks();
            } else {
                static_cast<EventSource*>(event.data.ptr)->on_events(event.events);
            }
        }
        if (const auto now = std::chrono::steady_clock::now(); tick_ && now >= next_tick) {
            next_tick = now + tick_interval;
            if (!tick_()) {
                tick_ = nullptr;
            }
        }
        retired_.clear();
    }
}

} // namespace refserver
