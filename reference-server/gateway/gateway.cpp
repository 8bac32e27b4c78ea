#include "reference-server/gateway/gateway.hpp"

#include "reference-server/gateway/quiet_thread.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <stdexcept>
#include <utility>

namespace refserver {
namespace {

using namespace std::chrono_literals;
using Clock = Backend::Clock;

constexpr std::chrono::milliseconds first_pause = 50ms;
/// What is left of a shutdown for telling clients that their requests failed.
constexpr auto last_words = 500ms;
/// An inner server that is lost in the middle of a change may be started again by somebody.
constexpr std::chrono::milliseconds shortest_return = 2s;

void say(const std::string& text) {
    fmt::print(stderr, "nbd-resize-server: {}\n", text);
}

} // namespace

Gateway::Gateway(GatewayOptions options, std::unique_ptr<Resizer> resizer)
  : options_(std::move(options))
  , resizer_(std::move(resizer)) {
    const Patience patience = patience_for(options_.connect_limit);
    if (resizer_) {
        resizer_->repair(patience_for(options_.change_limit));
    }
    try {
        auto connected = connect(patience);
        promised_ = connected->facts;
        end_change(std::move(connected), {});
    } catch (const InnerError& error) {
        throw std::runtime_error(fmt::format(
            "--backend: no connection to {}: {}; is the server running, and is the name of the export right "
            "(nbdinfo --list shows it)?",
            options_.uri, error.what()));
    }
    if (resizer_) {
        try {
            resizer_->attach(options_.uri, promised_, patience_for(options_.change_limit));
        } catch (const InnerError& error) {
            throw std::runtime_error(fmt::format("--resize-with: {}: {}", options_.uri, error.what()));
        }
    }
    keeper_ = quiet_thread([this] { keep(); });
    if (options_.poll.count() != 0) {
        watcher_ = quiet_thread([this] { watch(); });
    }
}

Gateway::~Gateway() {
    {
        const std::lock_guard lock(mutex_);
        aborting_ = true;
    }
    changed_.notify_all();
    for (std::thread* thread : {&keeper_, &watcher_}) {
        if (thread->joinable()) {
            thread->join();
        }
    }
    drop_lanes();
    finish({parked_.begin(), parked_.end()});
}

std::string Gateway::describe() const {
    return fmt::format("what {} serves", options_.uri) +
           (resizer_ ? fmt::format(", resized by {}", resizer_->describe()) : std::string());
}

Patience Gateway::patience_for(std::chrono::milliseconds limit) const {
    return {Clock::now() + limit, [this] { return !aborting_.load(); }};
}

std::unique_ptr<Gateway::Connected> Gateway::connect(const Patience& patience) {
    auto connected = std::make_unique<Connected>();
    InnerHandle first = connect_inner(options_.uri, patience);
    connected->facts = facts_of(first.get());
    if (generation_ != 0) {
        if (const auto missing = connected->facts.missing(promised_)) {
            throw InnerError(
                fmt::format("it has come back without {}, which clients were promised", *missing));
        }
    }
    std::vector<InnerHandle> handles;
    handles.push_back(std::move(first));
    while (connected->facts.can.multi_conn && handles.size() < options_.connections) {
        handles.push_back(connect_inner(options_.uri, patience));
        if (facts_of(handles.back().get()).size != connected->facts.size) {
            throw InnerError("its size changes at this moment");
        }
    }
    Lane::Owner& owner = *this;
    for (InnerHandle& handle : handles) {
        connected->lanes.push_back(
            std::make_unique<Lane>(std::move(handle), connected->facts, generation_ + 1, owner));
    }
    return connected;
}

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
        std::this_thread::sleep_for(first_pause);
    }
    return nullptr;
}

void Gateway::drop_lanes() {
    std::vector<std::unique_ptr<Lane>> dropped;
    {
        const std::lock_guard lock(mutex_);
        dropped.swap(lanes_);
    }
    // All at once: one that hangs makes them wait.
    for (const auto& lane : dropped) {
        lane->begin_stop();
    }
    // Their threads need the mutex to end.
    dropped.clear();
}

bool Gateway::start(Operation& operation, const std::function<void()>& done) {
    auto request = std::make_unique<Request>();
    request->operation = &operation;
    request->done = done;
    std::vector<Request*> failed;
    {
        const std::lock_guard lock(mutex_);
        send_or_park(*request.release(), failed);
    }
    finish(failed);
    return true;
}

void Gateway::perform(Operation& operation) {
    std::promise<void> done;
    (void)start(operation, [&done] { done.set_value(); });
    done.get_future().wait();
}

bool Gateway::refuse(Request& request) {
    Operation& operation = *request.operation;
    if (aborting_) {
        operation.fail(nbd::Error::shutdown, "the server is being shut down");
    } else if (operation.kind == Operation::Kind::flush) {
        if (state_ != State::up || !doubt_.take(operation.cause)) {
            return false;
        }
        operation.fail(nbd::Error::io, "the inner server was lost before earlier writes were flushed; they "
                                       "may be missing");
    } else if (operation.end() > size()) {
        operation.fail(
            nbd::Error::io,
            fmt::format("the inner server's export has become shorter and ends at offset {}", size()));
    } else {
        return false;
    }
    return true;
}

void Gateway::send_or_park(Request& request, std::vector<Request*>& failed) {
    if (refuse(request)) {
        failed.push_back(&request);
        return;
    }
    if (state_ != State::up) {
        return park(request, failed);
    }
    request.moment = doubt_.moment();
    request.give_up = Clock::time_point::max();
    if (lanes_[next_lane_++ % lanes_.size()]->submit(request)) {
        ++in_flight_;
        return;
    }
    // It died before anybody noticed.
    lost("it closed the connection");
    park(request, failed);
}

void Gateway::park(Request& request, std::vector<Request*>& failed) {
    if (state_ != State::changing) {
        if (options_.reconnect.count() == 0) {
            request.operation->fail(nbd::Error::io,
                                    fmt::format("the inner server cannot be reached: {}", why_down_));
            failed.push_back(&request);
            return;
        }
        request.give_up = std::min(request.give_up, Clock::now() + options_.reconnect);
    }
    parked_.push_back(&request);
    changed_.notify_all();
}

void Gateway::finish(const std::vector<Request*>& requests) {
    for (Request* request : requests) {
        const std::unique_ptr<Request> owner(request);
        owner->done();
    }
}

void Gateway::answered(Request& request) {
    {
        const std::lock_guard lock(mutex_);
        --in_flight_;
        const Operation& operation = *request.operation;
        if (operation.error == nbd::Error::none && promised_.can.flush) {
            const bool writes =
                operation.kind == Operation::Kind::write || operation.kind == Operation::Kind::zero;
            if (operation.kind == Operation::Kind::flush) {
                doubt_.flushed(request.moment);
            } else if (writes && !(operation.fua && promised_.can.fua)) {
                doubt_.wrote(operation.cause);
            }
            if (state_ == State::down || broken_) {
                // One of several connections is lost, and this answer came on another one.
                doubt_.lost();
            }
        }
        if (state_ == State::changing && in_flight_ == 0) {
            changed_.notify_all();
        }
    }
    finish({&request});
}

void Gateway::gone(Lane& lane, const std::vector<Request*>& unanswered, bool orderly,
                   const std::string& why) {
    std::vector<Request*> failed;
    {
        const std::lock_guard lock(mutex_);
        in_flight_ -= unanswered.size();
        if (!orderly && lane.generation() == generation_ && state_ != State::down && !broken_) {
            lost(why);
            say(fmt::format("{} is lost: {}; {} requests were under way", options_.uri, why,
                            unanswered.size() + in_flight_));
        }
        for (Request* request : unanswered) {
            request->start_over();
            if (aborting_) {
                request->operation->fail(nbd::Error::shutdown, "the server is being shut down");
                failed.push_back(request);
            } else {
                park(*request, failed);
            }
        }
    }
    changed_.notify_all();
    finish(failed);
}

void Gateway::lost(const std::string& why) {
    doubt_.lost();
    why_down_ = why;
    next_try_ = Clock::now();
    pause_ = first_pause;
    // Whoever waits for requests in order to change the size finds out by himself.
    broken_ = state_ == State::changing;
    state_ = broken_ ? State::changing : State::down;
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
            pause_ = first_pause;
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

void Gateway::shut_down(Clock::time_point deadline) {
    {
        const std::lock_guard lock(mutex_);
        abort_at_ = std::min(abort_at_, deadline - last_words);
    }
    changed_.notify_all();
}

} // namespace refserver
