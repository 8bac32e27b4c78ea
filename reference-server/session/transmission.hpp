#pragma once

#include "protocol/transmission.hpp"
#include "reference-server/backend/operation.hpp"
#include "reference-server/resize/subscription.hpp"
#include "reference-server/session/agreement.hpp"
#include "reference-server/session/checks.hpp"
#include "reference-server/session/output.hpp"
#include "reference-server/session/replies.hpp"
#include "reference-server/session/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace refserver {

/// The server's side of the transmission phase: fed with bytes, hands out operations for the backend, and
/// answers them in the order in which they are completed.
class Transmission {
  public:
    Transmission(const SessionOptions& options, Agreement agreement, BufferPool& pool, OutputQueue& output,
                 const Trace& trace, std::function<void()> wake = {});
    ~Transmission();
    Transmission(const Transmission&) = delete;
    Transmission& operator=(const Transmission&) = delete;

    /// Takes what it can from the start of `input` and returns how many bytes that was; 0 if more are needed
    /// or if enough is in progress.
    [[nodiscard]] std::size_t consume(nbd::Bytes input);
    /// Where the rest of a payload belongs; empty if none is expected. Bytes that are put there directly are
    /// announced with `payload_received`.
    [[nodiscard]] std::span<std::uint8_t> payload_space() const;
    void payload_received(std::size_t size);
    /// True if writes of the size that lately came are worth receiving without reading far ahead.
    [[nodiscard]] bool expects_large_payloads() const { return expects_large_payloads_; }

    /// An operation for the backend, null if there is none at the moment. It stays valid until it is
    /// given back with `complete`.
    [[nodiscard]] Operation* next_operation();
    /// Answers the operation; from now on it must not be used any more.
    void complete(Operation& operation);
    /// Drops operations that were not handed out, and answers nothing any more.
    void abandon();

    /// From now on requests are answered with NBD_ESHUTDOWN.
    void shut_down();

    /// Puts a notification into the output if the subscription has one, and none is half sent.
    void tell_size();
    /// Ends the subscription, if there is one, without a word.
    void end_subscription();

    /// True while further requests have to wait, because too much is in progress.
    [[nodiscard]] bool saturated() const;
    /// True if the client said that nothing more comes, or broke the protocol: what is in progress is
    /// answered, then the connection ends.
    [[nodiscard]] bool closing() const { return closing_; }
    /// True if the client sent NBD_CMD_DISC.
    [[nodiscard]] bool client_left() const { return client_left_; }
    /// Why, for the log.
    [[nodiscard]] const std::string& reason() const { return reason_; }
    /// Requests that were not answered yet, an open subscription not counted.
    [[nodiscard]] std::size_t in_progress() const { return in_progress_; }
    [[nodiscard]] const Agreement& agreement() const { return agreement_; }

  private:
    /// A request from its arrival to its reply. What the backend sees is its base.
    struct InFlight : Operation {
        nbd::Request request;
        std::uint64_t read_end = 0; ///< where a read that takes several operations ends
        std::vector<std::uint32_t> contexts;
    };

    /// An open subscription to the size (NBD_CMD_RESIZE, Notify and cancel).
    struct Subscribed {
        Subscribed(const void* owner, const std::function<void()>& wake, const nbd::Request& asked)
          : source(owner, wake)
          , request(asked)
          , unlimited(asked.length == 0)
          , credit(asked.length) {}

        Subscription source;
        nbd::Request request;
        bool unlimited;
        std::uint64_t credit; ///< notifications that are left
    };
    /// The last notification, which as long as nothing of it is sent can be replaced (RZ-NOTE-4).
    struct Unsent {
        std::uint64_t begin = 0; ///< in the whole output
        std::uint64_t end = 0;
        std::uint8_t* payload = nullptr;
        SizeNote note;
    };

    [[nodiscard]] bool has_room() const;
    [[nodiscard]] bool has(Fault fault) const { return agreement_.served->has(fault); }
    void begin(const nbd::Request& request);
    void begin_payload(const nbd::Request& request, std::uint64_t size);
    void skip_payload(const nbd::Request& request, std::uint64_t size, Refusal refusal);
    [[nodiscard]] std::size_t consume_skipped(nbd::Bytes input);
    void payload_complete();
    void start(std::unique_ptr<InFlight> flight);
    void next_part(InFlight& flight);
    void answer_read(InFlight& flight);
    void answer_status(InFlight& flight);
    void answer_changed_size(const InFlight& flight);
    [[nodiscard]] bool tells_plain() const;
    [[nodiscard]] bool tells_write(const InFlight& flight) const;
    void begin_resize(const nbd::Request& request);
    void subscribe(const nbd::Request& request);
    void cancel(const nbd::Request& request);
    void notify(const SizeNote& note);
    void refuse(const nbd::Request& request, const Refusal& refusal);
    void close(std::string reason);
    [[nodiscard]] std::unique_ptr<InFlight> take_slot(const nbd::Request& request);
    void release(InFlight& flight);

    const SessionOptions& options_;
    const Agreement agreement_;
    const nbd::HeaderStyle header_style_;
    BufferPool& pool_;
    OutputQueue& output_;
    const Trace& trace_;
    Replies replies_;

    const std::function<void()> wake_;
    std::unique_ptr<Subscribed> subscription_;
    Unsent unsent_;

    std::deque<InFlight*> ready_;         ///< to be handed out
    std::deque<InFlight*> waiting_parts_; ///< reads whose next part waits for room in the output
    std::vector<std::unique_ptr<InFlight>> spare_;
    std::size_t in_progress_ = 0;
    std::uint64_t held_ = 0; ///< bytes of memory in buffers of requests in progress
    bool abandoned_ = false;
    bool closing_ = false;
    bool client_left_ = false;
    bool shutting_down_ = false;
    bool expects_large_payloads_ = false;
    std::string reason_;

    std::unique_ptr<InFlight> receiving_; ///< its payload is arriving
    std::size_t payload_filled_ = 0;
    nbd::Request skipped_;
    std::uint64_t to_skip_ = 0;
    std::optional<Refusal> late_refusal_; ///< what `skipped_` is answered with once its payload has passed
};

} // namespace refserver
