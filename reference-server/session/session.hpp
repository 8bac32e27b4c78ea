#pragma once

// One connection without its socket. Whoever owns the socket
//   - receives into `input_space()` and announces it with `received()`,
//   - carries out what `next_operation()` hands out and gives it back with `complete()`, in any order,
//   - sends what `output()` gathers and announces it with `sent()`,
//   - closes the connection once it is `finished()`.

#include "reference-server/session/agreement.hpp"
#include "reference-server/session/negotiation.hpp"
#include "reference-server/session/output.hpp"
#include "reference-server/session/trace.hpp"
#include "reference-server/session/transmission.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/uio.h>

namespace refserver {

class Session {
  public:
    /// All arguments outlive the session. The greeting is in the output at once.
    Session(const SessionOptions& options, ExportCatalogue& catalogue, BufferPool& pool, const Trace& trace);

    /// True if the session takes bytes at the moment. While it does not, the socket is not read from, so that
    /// a client that sends more than it takes is slowed down.
    [[nodiscard]] bool wants_input() const;
    /// Where the next bytes belong, in this order; the second may be empty. Only if `wants_input()`.
    [[nodiscard]] std::array<iovec, 2> input_space();
    /// That many bytes were put into `input_space()`.
    void received(std::size_t size);
    /// The client sends nothing more.
    void end_of_input();
    /// The connection is gone: nothing more can be received or sent.
    void abandon();

    /// An operation for `served()`; null if there is none at the moment.
    [[nodiscard]] Operation* next_operation();
    void complete(Operation& operation);
    /// The export that was chosen. Only during the transmission phase.
    [[nodiscard]] Export& served() const { return *transmission_->agreement().served; }

    /// `wake` is called, possibly from another thread, when `tell_size()` has something to tell.
    void on_size_change(std::function<void()> wake) { wake_ = std::move(wake); }
    /// Puts what a subscription has to tell into the output.
    void tell_size();

    [[nodiscard]] const OutputQueue& output() const { return output_; }
    void sent(std::uint64_t size);

    /// Lets what is in progress end; refuses what comes after.
    void shut_down();

    [[nodiscard]] bool in_handshake() const { return !transmission_ && !ended_; }
    /// True once nothing more is to be received, carried out or sent.
    [[nodiscard]] bool finished() const;
    /// True if the client took its leave with NBD_CMD_DISC, and nothing came after it so far.
    [[nodiscard]] bool client_left() const {
        return transmission_ && transmission_->client_left() && begin_ == end_;
    }
    /// Operations that are handed out and not yet given back.
    [[nodiscard]] std::size_t handed_out() const { return handed_out_; }
    /// True if the session is not in the middle of any request.
    [[nodiscard]] bool idle() const;
    /// Why the session ended, for the log.
    [[nodiscard]] std::string_view reason() const;

  private:
    void process();
    [[nodiscard]] bool has_room() const;
    void enter_transmission();

    const SessionOptions& options_;
    BufferPool& pool_;
    const Trace& trace_;
    OutputQueue output_;
    Negotiation negotiation_;
    std::unique_ptr<Transmission> transmission_;
    PooledBuffer input_;
    std::function<void()> wake_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t offered_payload_ = 0; ///< size of the first part of the last `input_space()`
    std::size_t handed_out_ = 0;
    bool no_more_input_ = false; ///< what was received already is still looked at
    bool ended_ = false;         ///< no more input is looked at
    bool shutting_down_ = false;
    std::string reason_;
};

} // namespace refserver
