#include "faults/exchange.hpp"

#include <utility>

namespace faults {
namespace {

/// True if the step sends just these bytes.
bool is_all_at_once(const Step& step, const nbd::Buffer& bytes) {
    const auto* const send = std::get_if<Send>(&step);
    return send != nullptr && send->piece == 0 && send->bytes == bytes;
}

} // namespace

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

Exchange::Exchange(std::unique_ptr<Twist> twist, std::function<void()> at_work)
  : twist_(std::move(twist))
  , at_work_(std::move(at_work))
  , flow_(told_, steps_[static_cast<int>(Side::client)], steps_[static_cast<int>(Side::server)]) {}

void Exchange::handle(Message message, Side from) {
    told_.heard(message);
    const nbd::Buffer before = at_work_ ? encode(message) : nbd::Buffer();
    const std::size_t back = steps(from).size();
    const std::size_t on = steps(other(from)).size();
    flow_.begin(&message, other(from));
    twist_->on(message, flow_);
    if (const auto again = flow_.take_again()) {
        stream(from).restart(*again);
    }
    flow_.forward();
    if (at_work_) {
        const bool as_it_was = steps(from).size() == back && steps(other(from)).size() == on + 1 &&
                               is_all_at_once(steps(other(from)).back(), before);
        if (!as_it_was) {
            tell_at_work();
        }
    }
}

void Exchange::tell_at_work() {
    if (at_work_) {
        std::exchange(at_work_, nullptr)();
    }
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
        const std::size_t before = steps_[0].size() + steps_[1].size();
        twist_->on_end({who}, flow_);
        if (steps_[0].size() + steps_[1].size() != before) {
            tell_at_work();
        }
    }
    if (!flow_.ended()) {
        flow_.finish_sending(other(who));
    }
}

} // namespace faults
