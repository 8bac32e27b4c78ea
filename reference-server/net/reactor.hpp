#pragma once

#include "reference-server/net/descriptor.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace refserver {

/// Something that waits for a file descriptor.
class EventSource {
  public:
    EventSource() = default;
    EventSource(const EventSource&) = delete;
    EventSource& operator=(const EventSource&) = delete;
    virtual ~EventSource() = default;

    /// Called in the reactor's thread with `EPOLLIN`, `EPOLLOUT`, …
    virtual void on_events(std::uint32_t events) = 0;
};

/// One thread's loop over file descriptors and tasks. Only `post` and `stop` may be called from elsewhere.
class Reactor {
  public:
    using Task = std::function<void()>;

    /// Throws std::system_error.
    Reactor();
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    /// Waits for `events` of the descriptor. Throws std::system_error.
    void add(int descriptor, std::uint32_t events, EventSource& source);
    void modify(int descriptor, std::uint32_t events, EventSource& source);
    void remove(int descriptor);

    /// Keeps an object alive until no event of the present round can refer to it.
    void retire(std::shared_ptr<EventSource> source) { retired_.push_back(std::move(source)); }
    /// Calls `tick` about four times a second for as long as it returns true.
    void tick_while(std::function<bool()> tick) { tick_ = std::move(tick); }

    /// Runs the task in the reactor's thread, soon.
    void post(Task task);
    void run();
    void stop();

  private:
    void run_tasks();

    Descriptor epoll_;
    Descriptor wake_;
    std::function<bool()> tick_;
    std::vector<std::shared_ptr<EventSource>> retired_;
    std::mutex mutex_;
    std::vector<Task> tasks_;
    bool stopped_ = false;
};

} // namespace refserver
