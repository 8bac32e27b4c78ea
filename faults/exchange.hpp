#pragma once

// A connection with a twist in it, without sockets: fed with what both sides send, it tells what each is to
// be sent.

#include "faults/conversation.hpp"
#include "faults/stream.hpp"
#include "faults/twist.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

namespace faults {

/// For one thread.
class Exchange {
  public:
    /// `at_work` is called once the twist has changed what goes over the wire.
    explicit Exchange(std::unique_ptr<Twist> twist, std::function<void()> at_work = {});
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// A side sent this.
    void receive(Side from, nbd::Bytes bytes);
    /// A side sends nothing more.
    void end(Side who);
    /// What is to be done towards a side, the oldest first; who has done a step removes it.
    [[nodiscard]] std::deque<Step>& steps(Side to) { return steps_[static_cast<int>(to)]; }
    [[nodiscard]] const Conversation& told() const { return told_; }

  private:
    [[nodiscard]] Stream& stream(Side from) { return streams_[static_cast<int>(from)]; }
    void handle(Message message, Side from);
    void tell_at_work();

    std::unique_ptr<Twist> twist_;
    std::function<void()> at_work_; ///< empty once it was called
    Conversation told_;
    Stream streams_[2] = {Stream(Side::client), Stream(Side::server)};
    std::deque<Step> steps_[2];
    Flow flow_;
};

} // namespace faults
