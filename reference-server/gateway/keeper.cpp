// What a gateway does by itself: connecting again, letting requests that wait too long fail, looking at the
// size.

#include "reference-server/gateway/gateway.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace refserver {
namespace {

using namespace std::chrono_literals;

/// How long the keeper sleeps at most.
constexpr auto longest_sleep = 10s;
constexpr std::chrono::milliseconds longest_pause = 1s;

} // namespace

void Gateway::keep() {
    std::unique_lock lock(mutex_);
    while (!aborting_) {
        keep_once(lock);
    }
}

void Gateway::keep_once(std::unique_lock<std::mutex>& lock) {
    auto wake = std::min(Clock::now() + longest_sleep, abort_at_);
    if (state_ == State::down) {
        wake = std::min(wake, next_try_);
    }
    for (const Request* request : parked_) {
        wake = std::min(wake, request->give_up);
    }
    changed_.wait_until(lock, wake);
    const auto now = Clock::now();
    aborting_ = aborting_ || now >= abort_at_;
    std::vector<Request*> failed;
    expire(now, failed);
    const bool reconnects = state_ == State::down && now >= next_try_ && !aborting_;
    lock.unlock();
    finish(failed);
    if (aborting_) {
        changed_.notify_all();
        // What is in flight comes back and fails.
        drop_lanes();
    } else if (reconnects) {
        try_to_reconnect();
    }
    lock.lock();
}

void Gateway::expire(Clock::time_point now, std::vector<Request*>& failed) {
    std::deque<Request*> kept;
    for (Request* request : parked_) {
        if (aborting_) {
            request->operation->fail(nbd::Error::shutdown, "the server is being shut down");
        } else if (request->give_up <= now) {
            request->operation->fail(nbd::Error::io,
                                     fmt::format("the inner server cannot be reached: {}", why_down_));
        } else {
            kept.push_back(request);
            continue;
        }
        failed.push_back(request);
    }
    parked_.swap(kept);
}

void Gateway::try_to_reconnect() {
    const std::unique_lock change(change_mutex_, std::try_to_lock);
    std::string why_not;
    if (change.owns_lock()) {
        drop_lanes();
        Patience patience = patience_for(options_.connect_limit);
        patience.go_on = [this] {
            std::vector<Request*> failed;
            {
                const std::lock_guard lock(mutex_);
                aborting_ = aborting_ || Clock::now() >= abort_at_;
                expire(Clock::now(), failed);
            }
            finish(failed);
            return !aborting_;
        };
        try {
            if (resizer_) {
                resizer_->repair(patience);
            }
            const std::uint64_t before = size();
            end_change(connect(patience), {});
            fmt::print(stderr, "nbd-resize-server: connected to {} again{}\n", options_.uri,
                       size() == before ? "" : fmt::format("; it serves {} bytes now", size()));
            return;
        } catch (const std::runtime_error& error) {
            why_not = error.what();
        }
    }
    const std::lock_guard lock(mutex_);
    pause_ = std::min(longest_pause, pause_ * 2);
    next_try_ = Clock::now() + pause_;
    if (!why_not.empty() && why_not != why_down_) {
        why_down_ = why_not;
        fmt::print(stderr, "nbd-resize-server: cannot connect to {} again so far: {}\n", options_.uri,
                   why_not);
    }
}

void Gateway::watch() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, options_.poll, [this] { return aborting_.load(); })) {
        lock.unlock();
        look_again();
        lock.lock();
    }
}

} // namespace refserver
