#pragma once

// One connection to a server: a socket, and the state machines that decide what goes over it.

#include "protocol/uri.hpp"
#include "reference-client/export_info.hpp"
#include "reference-client/failure.hpp"
#include "reference-client/operation.hpp"
#include "reference-client/options.hpp"
#include "reference-client/socket.hpp"
#include "reference-client/transmission.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace refclient {

/// A connection in the transmission phase. Many requests may be in flight; bytes move only while one of its
/// functions runs, both ways at a time. For one thread at a time. Functions throw Failure; one of the kinds
/// connection and protocol means that the connection has ended.
class Connection {
  public:
    /// Connects and shakes hands. `size` is what the caller's other connections to the export hold to be its
    /// size; none if there are no others.
    [[nodiscard]] static std::unique_ptr<Connection> open(const nbd::Uri& uri, const Options& options,
                                                          std::shared_ptr<BelievedSize> size = nullptr);
    /// Sends NBD_CMD_DISC if the connection is alive and idle, and closes the socket.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// What the handshake told; `size()` is newer.
    [[nodiscard]] const ExportInfo& info() const { return info_; }
    [[nodiscard]] const Options& options() const { return options_; }
    /// The size of the export as far as it is known by now, in bytes. Experimental: RESIZE.
    [[nodiscard]] std::uint64_t size() const { return size_->get(); }
    /// For connections to the same export that are to know what this one learns.
    [[nodiscard]] const std::shared_ptr<BelievedSize>& shared_size() const { return size_; }
    /// The caller has learnt the size in another way.
    void adopt_size(std::uint64_t size) { size_->report(size); }

    /// Sends a request and returns when it is with the operating system, not when it is answered. The memory
    /// of the operation has to stay valid until the completion was taken or the connection is gone.
    Cookie submit(Operation operation);

    /// The same without waiting for the operating system: what it does not take at once is sent when bytes
    /// move next.
    Cookie post(Operation operation);

    /// The same without sending anything yet: several small requests go to the operating system together when
    /// bytes move next, at the latest when something is waited for.
    Cookie queue(Operation operation);

    /// Waits for the reply to this request. Errors of the server are in the completion.
    [[nodiscard]] Completion wait(Cookie cookie);
    /// Waits for the reply to any request; there must be one in flight.
    [[nodiscard]] Completion wait_any();
    /// A reply that has been received already, without waiting.
    [[nodiscard]] std::optional<Completion> take_any();
    /// Waits until every request in flight is answered, a subscription excepted. Throws if the connection
    /// ends before.
    void settle();
    /// Requests whose completion was not taken yet.
    [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

    /// Moves bytes on all these connections until one of them has a completion to take or has ended. False if
    /// the time is up before.
    static bool progress(std::span<Connection* const> connections, Clock::time_point deadline);
    /// Moves bytes on those of the connections that have requests in flight or a subscription, until the
    /// descriptor becomes readable.
    static void serve(std::span<Connection* const> connections, int until_readable);
    // For a caller with a loop of its own, which waits for several things.

    /// What to wait on, and the poll(2) events to wait for; -1 once the connection has ended.
    [[nodiscard]] int descriptor() const { return socket_.descriptor(); }
    [[nodiscard]] short awaited_events() const;
    /// Moves bytes as far as these events let it. Completions are then there to take, or it has ended.
    void move(short events) { pump(events); }
    /// What ended the connection, if it has ended.
    [[nodiscard]] const std::optional<Failure>& ended() const { return ended_; }

    /// The deadline for a wait that begins now.
    [[nodiscard]] Clock::time_point deadline() const { return Clock::now() + options_.timeout; }
    /// Throws what ended the connection, if it has ended.
    void check_alive() const;

    /// Ends the connection by the rules: waits for the replies in flight, sends NBD_CMD_DISC, waits for the
    /// server to close. No completion can be taken after that.
    void disconnect();
    /// Closes the socket at once, whatever is in flight.
    void drop();

    // One request each, and wait for it. Lengths in bytes. Throw Failure for errors of the server as well.

    void read(std::uint64_t offset, std::span<std::uint8_t> into, std::uint16_t flags = 0);
    void write(std::uint64_t offset, nbd::Bytes data, std::uint16_t flags = 0);
    void zero(std::uint64_t offset, std::uint64_t length, std::uint16_t flags = 0);
    void trim(std::uint64_t offset, std::uint64_t length, std::uint16_t flags = 0);
    void cache(std::uint64_t offset, std::uint64_t length, std::uint16_t flags = 0);
    void flush(std::uint16_t flags = 0);
    /// What the selected contexts say, as one reply of the server told it.
    [[nodiscard]] std::vector<ContextStatus> block_status(std::uint64_t offset, std::uint64_t length,
                                                          std::uint16_t flags = 0);

    // Experimental: RESIZE.

    /// Asks for another size and returns the one that the export now has, in bytes, with
    /// `nbd::resize_flag`s where the reply told them (RZ-PLAIN-5, RZ-PLAIN-6).
    nbd::ResizeChunk resize(std::uint64_t size, std::uint16_t flags = 0);
    /// Asks for the size, in bytes (RZ-QUERY-2).
    std::uint64_t query_size();
    /// Begins a subscription and returns the size at its beginning, in bytes. `credit`: notifications that
    /// are allowed; 0 for any number (RZ-NOTE-1, RZ-NOTE-2).
    std::uint64_t subscribe(std::uint64_t credit = 0);
    /// What the subscription has told, also when it has ended. It is brought up to date whenever bytes move.
    [[nodiscard]] const std::optional<Subscription>& subscription() const {
        return transmission_->subscription();
    }
    /// True while a subscription goes on.
    [[nodiscard]] bool subscribed() const { return subscription() && subscription()->open; }
    /// Moves bytes until a notification comes or the subscription ends: true. False if there is none, the
    /// time is up, or the descriptor (if there is one) becomes readable before. Throws if the connection
    /// ends.
    bool await_notification(Clock::time_point until, int until_readable = -1);
    /// Ends the subscription by the rules, if there is one (RZ-NOTE-8).
    void unsubscribe();

  private:
    /// Bytes to be sent: own ones, then those of the caller.
    struct Outgoing {
        nbd::Buffer head;
        nbd::Bytes data;
        std::size_t sent = 0;
    };

    Connection(Socket socket, Options options, ExportInfo info, std::shared_ptr<BelievedSize> size);

    Completion run(Operation operation);
    void take_early(nbd::Bytes bytes);
    void pump(short events, bool wait = false);
    void send_some();
    [[nodiscard]] std::optional<std::size_t> receive(std::span<iovec> parts, bool wait);
    void receive_some(bool wait);
    void bear_notifications();
    void check_subscription(const Operation& operation) const;
    /// Grows when bytes move for another reason than a notification.
    [[nodiscard]] std::uint64_t progress_mark() const { return moved_ - transmission_->notified_bytes(); }
    /// Moves bytes until `enough()`, which is asked after every move; throws when the time is up.
    template <class Enough>
    void pump_until(Enough enough, std::string_view what);
    void end(Failure why);
    void note(const Completion& completion) const;
    void leave_shutdown();
    /// Sends NBD_CMD_DISC as far as the socket takes it at once; the caller ends the connection.
    void say_farewell();
    void queue_disconnect();

    Options options_;
    ExportInfo info_;
    Socket socket_;
    std::shared_ptr<BelievedSize> size_;
    std::unique_ptr<Transmission> transmission_;
    std::deque<Outgoing> outgoing_;
    NotificationRate rate_;
    std::uint64_t borne_ = 0; ///< notifications that the rate was asked about
    std::size_t outstanding_ = 0;
    std::uint64_t moved_ = 0;
    bool disconnecting_ = false;
    std::optional<Failure> ended_;
};

} // namespace refclient
