#include "faults/exchange.hpp"

#include <utility>

namespace faults {

void Flow::begin(Message* message, Side to) {
    current_ = message;
    to_ = to;
}

void Flow::forward() {
    if (current_ != nullptr) {
        send(to_, *std::exchange(current_, nullptr));
    }
}

void Flow::send(Side to, const Message& message) {
    if (!ended_) {
        told_.passed(message);
        queue(to).emplace_back(Send{encode(message), piece_[static_cast<int>(to)]});
    }
}

void Flow::end(const Step& step) {
    current_ = nullptr;
    if (!std::exchange(ended_, true)) {
        queue(Side::client).push_back(step);
        queue(Side::server).push_back(step);
    }
}

Exchange::Exchange(std::unique_ptr<Twist> twist)
  : twist_(std::move(twist))
  , flow_(told_, steps_[static_cast<int>(Side::client)], steps_[static_cast<int>(Side::server)]) {}

void Exchange::handle(Message message, Side from) {
    told_.heard(message);
    flow_.begin(&message, other(from));
    twist_->on(message, flow_);
    flow_.forward();
}

void Exchange::receive(Side from, nbd::Bytes bytes) {
    stream(from).feed(bytes);
    while (!flow_.ended()) {
        auto message = stream(from).next(told_);
        if (!message) {
            return;
        }
        handle(std::move(*message), from);
    }
}

void Exchange::end(Side who) {
    if (flow_.ended()) {
        return;
    }
    if (auto rest = stream(who).rest()) {
        handle(std::move(*rest), who);
    }
    if (!flow_.ended()) {
        twist_->on_end({who}, flow_);
    }
    if (!flow_.ended()) {
        flow_.finish_sending(other(who));
    }
}

} // namespace faults
