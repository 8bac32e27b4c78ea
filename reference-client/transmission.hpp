#pragma once

// The client's side of the transmission phase as a state machine over bytes: no sockets, no clock.

#include "reference-client/believed_size.hpp"
#include "reference-client/failure.hpp"
#include "reference-client/options.hpp"
#include "reference-client/pending.hpp"
#include "reference-client/subscription.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>

namespace refclient {

/// Requests become bytes to send; bytes that the server sends become completions. Data of reads are received
/// in place: `wanted` tells where the next bytes are to go.
class Transmission {
  public:
    /// `size` takes what is learnt about the size of the export.
    Transmission(Agreement agreement, Trace trace,
                 std::shared_ptr<BelievedSize> size = std::make_shared<BelievedSize>(0));
    Transmission(const Transmission&) = delete;
    Transmission& operator=(const Transmission&) = delete;

    /// Registers a request and appends to `out` what has to be sent for it before `operation.data`. Throws
    /// Failure (local) where the headers cannot express the request.
    Cookie submit(Operation operation, nbd::Buffer& out);

    /// Appends NBD_CMD_DISC, after which nothing may be sent.
    void encode_disconnect(nbd::Buffer& out);

    /// Where the next bytes from the server are to be put; never empty, unless there is a failure.
    [[nodiscard]] std::span<std::uint8_t> wanted();
    /// That many bytes have been put there.
    void advance(std::size_t count);
    /// Copies bytes to where they are wanted, until all are used or there is a failure.
    void feed(nbd::Bytes bytes);

    /// The server closed the connection. A failure follows unless it was between two replies with nothing in
    /// flight.
    void feed_end();

    /// The completion of this request, if it is there; it is forgotten here.
    [[nodiscard]] std::optional<Completion> take(Cookie cookie);
    /// The completion that came first of those not taken.
    [[nodiscard]] std::optional<Completion> take_any();
    [[nodiscard]] bool has_completion() const { return !completed_.empty(); }

    /// Requests that were submitted and have not been answered. A subscription is none: its first chunk
    /// completes the request for it.
    [[nodiscard]] std::size_t in_flight() const { return pending_.size() - open_; }
    /// The request is among them.
    [[nodiscard]] bool is_in_flight(Cookie cookie) const;
    /// Subscriptions that have begun and not ended.
    [[nodiscard]] std::size_t subscriptions() const { return open_; }
    /// What the subscription that began last has told, also when it has ended.
    [[nodiscard]] const std::optional<Subscription>& subscription() const { return subscription_; }
    /// Notifications that came, of all subscriptions.
    [[nodiscard]] std::uint64_t notifications() const { return notifications_; }
    /// The bytes that they had.
    [[nodiscard]] std::uint64_t notified_bytes() const { return notified_bytes_; }
    [[nodiscard]] const BelievedSize& size() const { return *size_; }
    /// A server that said NBD_ESHUTDOWN has to be left by a soft disconnect.
    [[nodiscard]] bool shutdown_seen() const { return shutdown_seen_; }
    /// What the server did wrong. Nothing is taken from it after that.
    [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

  private:
    enum class State { magic, simple, chunk, payload, data };

    void await(State state, std::size_t bytes);
    void await_data(std::span<std::uint8_t> target);
    void next_reply();
    void step();
    void take_magic();
    void take_simple();
    void take_chunk();
    void end_message();
    void take_size();
    void adopt(std::uint64_t size);
    void complete();
    void end_subscription(Completion completion);
    [[nodiscard]] Pending& find(Cookie cookie);
    void fail(const std::string& what);

    Agreement agreement_;
    Trace trace_;
    Cookie last_cookie_;
    std::unordered_map<Cookie, Pending> pending_;
    std::deque<Completion> completed_;
    std::shared_ptr<BelievedSize> size_;
    std::size_t open_ = 0; ///< of `pending_`, the subscriptions that have begun
    std::optional<Subscription> subscription_;
    std::uint64_t notifications_ = 0;
    std::uint64_t notified_bytes_ = 0;

    State state_ = State::magic;
    nbd::Buffer staged_;             ///< a header or a payload, as far as it is there
    std::size_t filled_ = 0;         ///< bytes of `staged_` that are there
    std::size_t needed_ = 0;         ///< bytes that `staged_` is to have
    std::span<std::uint8_t> target_; ///< data that are received in place
    Pending* current_ = nullptr;
    Cookie current_cookie_ = 0;
    bool done_ = false;                      ///< the message is the last one to the current request
    std::optional<nbd::SimpleReply> simple_; ///< the header of the message, for what is said of a failure
    std::optional<nbd::Chunk> chunk_;        ///< likewise
    std::uint64_t position_ = 0;
    std::uint64_t message_start_ = 0;
    bool shutdown_seen_ = false;
    std::optional<Failure> failure_;
};

} // namespace refclient
