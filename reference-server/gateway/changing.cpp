// How the size of a gateway changes, by its own doing or somebody else's, while requests wait.

#include "reference-server/gateway/gateway.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>

namespace refserver {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds pause_between_attempts = 50ms;
/// An inner server that is lost in the middle of a change may be started again by somebody.
constexpr std::chrono::milliseconds shortest_return = 2s;

void say(const std::string& text) {
    fmt::print(stderr, "nbd-resize-server: {}\n", text);
}

} // namespace

std::unique_ptr<Gateway::Connected> Gateway::connect_repeatedly(std::string& why_not) {
    const auto deadline = Clock::now() + std::max(options_.reconnect, shortest_return);
    while (!aborting_) {
        try {
            if (resizer_) {
                resizer_->repair(patience_for(options_.change_limit));
            }
            return connect(patience_for(options_.connect_limit));
        } catch (const std::runtime_error& error) {
            why_not = error.what();
        }
        if (Clock::now() >= deadline) {
            break;
        }
        std::this_thread::sleep_for(pause_between_attempts);
    }
    return nullptr;
}

bool Gateway::wait_until_up() {
    std::unique_lock lock(mutex_);
    const auto deadline = Clock::now() + options_.reconnect;
    // Somebody else's change ends by itself.
    return changed_.wait_until(lock, deadline, [this] { return state_ != State::down || aborting_; }) &&
           !aborting_;
}

void Gateway::send_flush(const std::shared_ptr<Operation>& flush) {
    flush->kind = Operation::Kind::flush;
    auto request = std::make_unique<Request>();
    request->operation = flush.get();
    request->done = [flush] {};
    request->moment = doubt_.moment();
    if (lanes_.front()->submit(*request)) {
        (void)request.release();
        ++in_flight_;
    } else {
        lost("it closed the connection");
    }
}

Failure Gateway::begin_change() {
    std::unique_lock lock(mutex_);
    if (state_ != State::up) {
        return {nbd::Error::io, fmt::format("the inner server cannot be reached: {}", why_down_)};
    }
    state_ = State::changing;
    broken_ = false;
    const auto deadline = Clock::now() + options_.change_limit;
    const auto drained = [&] {
        return changed_.wait_until(lock, deadline, [this] { return in_flight_ == 0 || aborting_; }) &&
               !broken_ && !aborting_;
    };
    const auto flush = std::make_shared<Operation>();
    bool ready = drained();
    if (ready && doubt_.unflushed()) {
        // While there is no connection, the inner server may end and another one begin, and nobody would
        // know.
        send_flush(flush);
        ready = drained();
    }
    const bool flushed = in_flight_ != 0 || flush->error == nbd::Error::none;
    if (ready && flushed) {
        return {};
    }
    const std::string why =
        broken_    ? fmt::format("the inner server was lost: {}", why_down_)
        : !flushed ? flush->message
                   : fmt::format("the inner server has not answered {} requests in time", in_flight_);
    std::erase_if(parked_, [&flush](Request* request) {
        const bool ours = request->operation == flush.get();
        const std::unique_ptr<Request> owner(ours ? request : nullptr);
        return ours;
    });
    std::vector<Request*> failed;
    state_ = std::exchange(broken_, false) ? State::down : State::up;
    for (Request* request : std::exchange(parked_, {})) {
        send_or_park(*request, failed);
    }
    lock.unlock();
    changed_.notify_all();
    finish(failed);
    return {nbd::Error::io, why};
}

void Gateway::end_change(std::unique_ptr<Connected> connected, const std::string& why_not) {
    std::vector<Request*> failed;
    {
        const std::lock_guard lock(mutex_);
        broken_ = false;
        if (connected && !aborting_) {
            ++generation_;
            lanes_ = std::move(connected->lanes);
            size_.store(connected->facts.size, std::memory_order_release);
            state_ = State::up;
        } else {
            state_ = State::down;
            why_down_ = why_not;
            next_try_ = Clock::now();
            pause_ = pause_between_attempts;
        }
        for (Request* request : std::exchange(parked_, {})) {
            send_or_park(*request, failed);
        }
    }
    changed_.notify_all();
    finish(failed);
}

Failure Gateway::set_size(const SizeChange& change) {
    if (!resizer_) {
        return {nbd::Error::nospc, "the size of an inner server changes with --resize-with only"};
    }
    if (!wait_until_up()) {
        return {nbd::Error::io, "the inner server cannot be reached"};
    }
    const std::lock_guard lock(change_mutex_);
    if (Failure failure = begin_change(); failure.error != nbd::Error::none) {
        return failure;
    }
    drop_lanes();
    return verify(change, resizer_->change(change, patience_for(options_.change_limit)));
}

Failure Gateway::verify(const SizeChange& change, Failure failure) {
    const auto go_back = [&] {
        (void)resizer_->change({change.to, change.from}, patience_for(options_.change_limit));
    };
    std::string why_not;
    auto connected = connect_repeatedly(why_not);
    const bool changed = failure.error == nbd::Error::none;
    if (connected && connected->facts.size == change.to) {
        // Whatever the one who changed it missed of it.
        failure = {};
    } else if (changed && connected) {
        failure = {
            nbd::Error::io,
            fmt::format("after {} to {} bytes the inner server still says {}; it has to look at the size "
                        "anew for each connection",
                        resizer_->describe(), change.to, connected->facts.size)};
        connected.reset();
        go_back();
        connected = connect_repeatedly(why_not);
    } else if (changed && change.to > change.from) {
        failure = {nbd::Error::io,
                   fmt::format("the inner server was lost while its size changed: {}", why_not)};
        go_back();
    } else if (changed) {
        // What was cut off is gone; the inner server will show it when it is back.
        size_.store(change.to, std::memory_order_release);
    }
    if (failure.error != nbd::Error::none) {
        say(failure.message);
    }
    end_change(std::move(connected), why_not);
    return failure;
}

Failure Gateway::make_durable() {
    if (!promised_.can.flush) {
        return resizer_ ? resizer_->make_durable() : Failure{};
    }
    Operation flush;
    flush.kind = Operation::Kind::flush;
    perform(flush);
    return {flush.error, flush.message};
}

void Gateway::look_again() {
    const std::lock_guard lock(change_mutex_);
    {
        const std::lock_guard state_lock(mutex_);
        if (state_ != State::up) {
            return;
        }
    }
    try {
        const InnerHandle probe = connect_inner(options_.uri, patience_for(options_.connect_limit));
        const std::uint64_t now = facts_of(probe.get()).size;
        leave_inner(probe.get());
        if (now == size()) {
            return;
        }
        say(fmt::format("{} serves {} bytes now, not {}", options_.uri, now, size()));
    } catch (const InnerError& error) {
        say(fmt::format("cannot look at the size of {}: {}", options_.uri, error.what()));
        return;
    }
    if (begin_change().error != nbd::Error::none) {
        return;
    }
    drop_lanes();
    std::string why_not;
    auto connected = connect_repeatedly(why_not);
    end_change(std::move(connected), why_not);
}

} // namespace refserver
