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

void Gateway::shut_down(Clock::time_point deadline) {
    {
        const std::lock_guard lock(mutex_);
        abort_at_ = std::min(abort_at_, deadline - last_words);
    }
    changed_.notify_all();
}

} // namespace refserver
