#pragma once

#include "protocol/transmission.hpp"
#include "reference-server/backend/operation.hpp"
#include "reference-server/session/agreement.hpp"
#include "reference-server/session/checks.hpp"
#include "reference-server/session/output.hpp"
#include "reference-server/session/replies.hpp"
#include "reference-server/session/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
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
                 const Trace& trace);
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
    void shut_down() { shutting_down_ = true; }

    /// True while further requests have to wait, because too much is in progress.
    [[nodiscard]] bool saturated() const;
    /// True if the client said that nothing more comes, or broke the protocol: what is in progress is
    /// answered, then the connection ends.
    [[nodiscard]] bool closing() const { return closing_; }
    /// Why, for the log.
    [[nodiscard]] const std::string& reason() const { return reason_; }
    /// Requests that were not answered yet.
    [[nodiscard]] std::size_t in_progress() const { return in_progress_; }
    [[nodiscard]] const Agreement& agreement() const { return agreement_; }

  private:
    /// A request from its arrival to its reply. What the backend sees is its base.
    struct InFlight : Operation {
        nbd::Request request;
        std::uint64_t read_end = 0; ///< where a read that takes several operations ends
        std::vector<std::uint32_t> contexts;
    };

    [[nodiscard]] bool has_room() const;
    void begin(const nbd::Request& request);
    void begin_payload(const nbd::Request& request, std::uint64_t size);
    void skip_payload(const nbd::Request& request, std::uint64_t size, Refusal refusal);
    [[nodiscard]] std::size_t consume_skipped(nbd::Bytes input);
    void payload_complete();
    void start(std::unique_ptr<InFlight> flight);
    void next_part(InFlight& flight);
    void answer_read(InFlight& flight);
    void answer_status(InFlight& flight);
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

    std::deque<InFlight*> ready_;         ///< to be handed out
    std::deque<InFlight*> waiting_parts_; ///< reads whose next part waits for room in the output
    std::vector<std::unique_ptr<InFlight>> spare_;
    std::size_t in_progress_ = 0;
    std::uint64_t held_ = 0; ///< bytes of memory in buffers of requests in progress
    bool abandoned_ = false;
    bool closing_ = false;
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
