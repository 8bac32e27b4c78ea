#pragma once

// What a fault is made of: it sees every message on its way, and decides what becomes of it.

#include "faults/conversation.hpp"
#include "faults/message.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

namespace faults {

/// One thing to be done towards a side, in the order in which they stand in its queue.
struct Send {
    nbd::Buffer bytes;
    std::size_t piece = 0; ///< hand them to the operating system in pieces of this size; 0 for all at once
};
struct Pause {
    std::chrono::milliseconds time{0};
};
struct FinishSending {}; ///< half-close
struct Close {};         ///< orderly, once the queue has come this far
struct Reset {};         ///< by force, likewise
using Step = std::variant<Send, Pause, FinishSending, Close, Reset>;

/// What a twist can do while it handles a message. What it does not forward or drop goes on by itself,
/// changed as the twist left it, behind what the twist has sent meanwhile.
class Flow {
  public:
    Flow(Conversation& told, std::deque<Step>& to_client, std::deque<Step>& to_server)
      : told_(told)
      , queues_{&to_client, &to_server} {}

    [[nodiscard]] const Conversation& told() const { return told_; }

    /// Sends the message that is handled on, now; what is sent after that comes behind it.
    void forward();
    /// It never arrives.
    void drop() { current_ = nullptr; }
    /// Bytes that made no message stand for these ones, which are cut into messages in their place.
    void read_as(nbd::Buffer bytes) {
        current_ = nullptr;
        again_ = std::move(bytes);
    }

    /// A message of the other side, made up here.
    void to_client(const Message& message) { send(Side::client, message); }
    void to_server(const Message& message) { send(Side::server, message); }
    void send(Side to, const Message& message);
    /// Nothing moves towards this side for a while, once what was sent before is on its way.
    void pause(Side to, std::chrono::milliseconds time) { queue(to).emplace_back(Pause{time}); }
    /// From now on everything goes to this side in pieces of so many bytes.
    void in_pieces(Side to, std::size_t bytes) { piece_[static_cast<int>(to)] = bytes; }
    /// Tells this side that nothing more comes; the other direction goes on.
    void finish_sending(Side to) { queue(to).emplace_back(FinishSending{}); }
    /// Ends the connection for both sides once what was sent is on its way; nothing is handled any more.
    void hang_up() { end(Close{}); }
    /// The same by force.
    void reset() { end(Reset{}); }

    // ---- for the exchange
    void begin(Message* message, Side to);
    /// What is left of the message; null if it was forwarded or dropped.
    [[nodiscard]] Message* current() const { return current_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] std::optional<nbd::Buffer> take_again() { return std::exchange(again_, std::nullopt); }

  private:
    [[nodiscard]] std::deque<Step>& queue(Side to) { return *queues_[static_cast<int>(to)]; }
    void end(const Step& step);

    Conversation& told_;
    std::deque<Step>* queues_[2];
    std::size_t piece_[2] = {0, 0};
    Message* current_ = nullptr;
    std::optional<nbd::Buffer> again_;
    Side to_ = Side::client;
    bool ended_ = false;
};

/// A side sends nothing more.
struct Ended {
    Side who = Side::client;
};

/// A fault at work on one connection.
class Twist {
  public:
    Twist() = default;
    Twist(const Twist&) = delete;
    Twist& operator=(const Twist&) = delete;
    virtual ~Twist() = default;

    /// A message is on its way.
    virtual void on(Message& message, Flow& flow) = 0;
    /// A side has ended its direction, which the other side is told after this.
    virtual void on_end(Ended /*ended*/, Flow& /*flow*/) {}
};

/// Makes twists, one for each connection. Used from several threads at once.
struct Recipe {
    std::function<std::unique_ptr<Twist>()> make;
    bool before_name = false; ///< it acts, or looks, before the client has named an export
    /// Called each time a twist has changed what goes over the wire, for the first time in its connection.
    std::function<void()> at_work = {};
};

} // namespace faults
