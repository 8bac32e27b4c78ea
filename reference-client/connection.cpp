#include "reference-client/connection.hpp"

#include "reference-client/checks.hpp"
#include "reference-client/handshake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/uio.h>

namespace refclient {
namespace {

using nbd::Command;

/// Bytes received beyond those that have a place already: enough for many small replies at once, little to
/// copy where data go straight to the caller. They are used up before anybody else can want the place, so one
/// for each thread does, and a connection costs nothing for it.
constexpr std::size_t ahead_size = 65536;
thread_local std::array<std::uint8_t, ahead_size> ahead;
/// Data of at least this size are received in place.
constexpr std::size_t in_place_size = 4096;
/// Parts of one message to the operating system.
constexpr std::size_t max_parts = 64;
/// Rounds of sending and receiving before the other connections get their turn.
constexpr int max_rounds = 16;

Agreement agreement_of(const ExportInfo& info, const Options& options) {
    Agreement agreement{info.headers, info.structured, {}, info.resize, options.faults, options.first_cookie};
    for (const MetaContext& context : info.contexts) {
        agreement.contexts.push_back(context.id);
    }
    return agreement;
}

} // namespace

std::unique_ptr<Connection> Connection::open(const nbd::Uri& uri, const Options& options,
                                             std::shared_ptr<BelievedSize> size) {
    Handshaken done = shake_hands(uri, options, Goal::transmission);
    const ExportInfo& info = done.negotiation.info();
    if (size) {
        size->report(info.size);
    } else {
        size = std::make_shared<BelievedSize>(info.size);
    }
    done.socket.set_patience(options.timeout);
    std::unique_ptr<Connection> connection(
        new Connection(std::move(done.socket), options, info, std::move(size)));
    if (!done.rest.empty()) {
        connection->take_early(done.rest);
    }
    return connection;
}

void Connection::take_early(nbd::Bytes bytes) {
    transmission_->feed(bytes);
    if (transmission_->failure()) {
        meet_trouble(options_.fragility, Phase::transmission, transmission_->failure()->kind());
        end(*transmission_->failure());
    }
}

Connection::Connection(Socket socket, Options options, ExportInfo info, std::shared_ptr<BelievedSize> size)
  : options_(std::move(options))
  , info_(std::move(info))
  , socket_(std::move(socket))
  , size_(std::move(size))
  , transmission_(std::make_unique<Transmission>(agreement_of(info_, options_), options_.trace, size_))
  , rate_(options_.max_notifications_per_second) {}

Connection::~Connection() {
    if (ended_ || disconnecting_ || !outgoing_.empty()) {
        return;
    }
    nbd::Buffer bytes;
    transmission_->encode_disconnect(bytes);
    std::array<iovec, 1> part{{{bytes.data(), bytes.size()}}};
    try {
        static_cast<void>(socket_.send(part));
    } catch (const Failure&) {
        // The server has gone already; that is what was wanted.
        return;
    }
}

void Connection::check_alive() const {
    if (ended_) {
        throw *ended_;
    }
}

void Connection::end(Failure why) {
    if (!ended_) {
        ended_ = std::move(why);
    }
    socket_.close();
    outgoing_.clear();
}

Cookie Connection::submit(Operation operation) {
    const Cookie cookie = post(std::move(operation));
    pump_until([&] { return outgoing_.empty() || ended_; }, "the server to take a request");
    return cookie;
}

Cookie Connection::post(Operation operation) {
    const Cookie cookie = queue(std::move(operation));
    pump(POLLOUT);
    return cookie;
}

Cookie Connection::queue(Operation operation) {
    check_alive();
    if (transmission_->shutdown_seen()) {
        throw Failure(FailureKind::connection, ESHUTDOWN,
                      "the server is shutting down (NBD_ESHUTDOWN), so nothing more is sent to it");
    }
    if (options_.strict && !sends_unchecked(operation, options_.faults)) {
        check_allowed(info_, size(), operation);
        check_subscription(operation);
    }
    Outgoing out;
    out.data = operation.data;
    const Cookie cookie = transmission_->submit(std::move(operation), out.head);
    outgoing_.push_back(std::move(out));
    ++outstanding_;
    return cookie;
}

void Connection::check_subscription(const Operation& operation) const {
    if (operation.type == Command::resize && resize_form(operation) == ResizeForm::notify &&
        transmission_->subscriptions() > 0) {
        throw Failure(FailureKind::local, EINVAL,
                      fmt::format("{}: not sent: there is a subscription already, and a connection has one",
                                  to_text(operation)));
    }
}

template <class Enough>
void Connection::pump_until(Enough enough, std::string_view what) {
    Clock::time_point limit = deadline();
    // Notifications are no progress: they would keep up a wait for a reply that never comes.
    std::uint64_t mark = progress_mark();
    bool stalled = false;
    if (!outgoing_.empty()) {
        pump(POLLOUT);
    }
    while (!enough()) {
        if (outgoing_.empty() && !stalled) {
            // With nothing to send it is enough to receive, which waits by itself.
            pump(0, true);
        } else {
            pollfd waiting{socket_.descriptor(), awaited_events(), 0};
            const int ready = ::poll(&waiting, 1, poll_timeout(limit));
            // Where something comes all the time that is not waited for, the time is up nevertheless.
            if (ready == 0 || (ready > 0 && stalled && Clock::now() >= limit)) {
                end(Failure(FailureKind::connection, ETIMEDOUT,
                            fmt::format("timed out while waiting for {}", what)));
                throw *ended_;
            }
            pump(ready > 0 ? waiting.revents : short{0});
        }
        stalled = progress_mark() <= mark;
        if (!stalled) {
            mark = progress_mark();
            limit = deadline();
        }
    }
}

short Connection::awaited_events() const {
    return static_cast<short>(POLLIN | (outgoing_.empty() ? 0 : POLLOUT));
}

void Connection::pump(short events, bool wait) {
    if ((events == 0 && !wait) || ended_) {
        return;
    }
    try {
        if ((events & POLLOUT) != 0) {
            send_some();
        }
        if (wait || (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            receive_some(wait);
        }
        leave_shutdown();
    } catch (const Failure& failure) {
        if (!disconnecting_) {
            meet_trouble(options_.fragility, Phase::transmission, failure.kind());
        }
        end(failure);
    }
}

void Connection::send_some() {
    for (int round = 0; round < max_rounds && !outgoing_.empty(); ++round) {
        std::array<iovec, max_parts> parts{};
        std::size_t used = 0;
        for (Outgoing& out : outgoing_) {
            if (used + 2 > parts.size()) {
                break;
            }
            const std::size_t head = std::min(out.sent, out.head.size());
            const std::size_t data = out.sent - head;
            if (head < out.head.size()) {
                parts[used++] = {out.head.data() + head, out.head.size() - head};
            }
            if (data < out.data.size()) {
                // sendmsg does not write to it; iovec has no const form.
                parts[used++] = {const_cast<std::uint8_t*>(out.data.data()) + data, out.data.size() - data};
            }
        }
        std::optional<std::size_t> count;
        try {
            count = socket_.send(std::span(parts).first(used));
        } catch (const Failure&) {
            // Replies that were sent before are still to be received; receiving will notice the end.
            outgoing_.clear();
            return;
        }
        if (!count) {
            return;
        }
        moved_ += *count;
        std::size_t left = *count;
        while (!outgoing_.empty()) {
            Outgoing& out = outgoing_.front();
            const std::size_t rest = out.head.size() + out.data.size() - out.sent;
            if (left < rest) {
                out.sent += left;
                break;
            }
            left -= rest;
            outgoing_.pop_front();
        }
    }
}

std::optional<std::size_t> Connection::receive(std::span<iovec> parts, bool wait) {
    try {
        return wait ? socket_.receive_waiting(parts) : socket_.receive(parts);
    } catch (const Failure& broken) {
        if (transmission_->in_flight() == 0) {
            throw;
        }
        throw Failure(
            broken.kind(), broken.code(),
            fmt::format("{}, with {} request(s) unanswered", broken.what(), transmission_->in_flight()));
    }
}

void Connection::receive_some(bool wait) {
    for (int round = 0; round < max_rounds; ++round) {
        const std::span<std::uint8_t> place = transmission_->wanted();
        std::array<iovec, 2> parts{{{place.data(), place.size()}, {ahead.data(), ahead.size()}}};
        const bool in_place = place.size() >= in_place_size;
        const std::span<iovec> used = in_place ? std::span(parts) : std::span(parts).subspan(1);
        const std::optional<std::size_t> count = receive(used, wait && round == 0);
        if (!count) {
            return;
        }
        if (*count == 0) {
            transmission_->feed_end();
            if (transmission_->failure()) {
                throw Failure(*transmission_->failure());
            }
            throw Failure(FailureKind::connection, ENOTCONN, "the server closed the connection");
        }
        moved_ += *count;
        const std::size_t placed = in_place ? std::min(place.size(), *count) : 0;
        if (placed > 0) {
            transmission_->advance(placed);
        }
        transmission_->feed(nbd::Bytes(ahead).first(*count - placed));
        if (transmission_->failure()) {
            throw Failure(*transmission_->failure());
        }
        bear_notifications();
        const std::size_t room = in_place ? place.size() + ahead.size() : ahead.size();
        if (*count < room) {
            return;
        }
    }
}

void Connection::bear_notifications() {
    const std::uint64_t all = transmission_->notifications();
    if (all == borne_ || options_.faults.has(Fault::bear_floods)) {
        return;
    }
    if (!rate_.allows(all - borne_, Clock::now())) {
        say_farewell();
        throw Failure(FailureKind::connection, ECONNABORTED,
                      fmt::format("the server floods this client with notifications of its size, {} so far: "
                                  "more than {} a second are not borne, so the connection was ended",
                                  all, options_.max_notifications_per_second));
    }
    borne_ = all;
}

void Connection::leave_shutdown() {
    // A client that was told NBD_ESHUTDOWN has to leave by a soft disconnect, after what is in flight.
    if (!transmission_->shutdown_seen() || transmission_->in_flight() > 0 || disconnecting_) {
        return;
    }
    say_farewell();
    end(Failure(FailureKind::connection, ESHUTDOWN,
                "the server is shutting down (NBD_ESHUTDOWN), so the connection was ended"));
}

void Connection::say_farewell() {
    queue_disconnect();
    send_some();
}

void Connection::queue_disconnect() {
    disconnecting_ = true;
    Outgoing out;
    transmission_->encode_disconnect(out.head);
    outgoing_.push_back(std::move(out));
}

void Connection::note(const Completion& completion) const {
    if (!completion.ok()) {
        meet_trouble(options_.fragility, Phase::transmission, FailureKind::server);
    }
}

Completion Connection::wait(Cookie cookie) {
    pump_until([&] { return !transmission_->is_in_flight(cookie) || ended_; }, "the reply to a request");
    if (std::optional<Completion> completion = transmission_->take(cookie)) {
        --outstanding_;
        note(*completion);
        return std::move(*completion);
    }
    check_alive();
    throw Failure(FailureKind::local, EINVAL, fmt::format("there is no request with cookie {}", cookie));
}

Completion Connection::wait_any() {
    pump_until([&] { return transmission_->has_completion() || ended_; }, "a reply");
    if (std::optional<Completion> completion = take_any()) {
        return std::move(*completion);
    }
    throw *ended_;
}

std::optional<Completion> Connection::take_any() {
    std::optional<Completion> completion = transmission_->take_any();
    if (completion) {
        --outstanding_;
        note(*completion);
    }
    return completion;
}

bool Connection::progress(std::span<Connection* const> connections, Clock::time_point deadline) {
    const auto ready = [](const Connection* connection) {
        return connection->transmission_->has_completion() || connection->ended_.has_value();
    };
    std::vector<pollfd> waiting;
    while (std::ranges::none_of(connections, ready)) {
        waiting.clear();
        for (const Connection* connection : connections) {
            waiting.push_back({connection->socket_.descriptor(), connection->awaited_events(), 0});
        }
        const int count = ::poll(waiting.data(), waiting.size(), poll_timeout(deadline));
        if (count == 0) {
            return false;
        }
        for (std::size_t i = 0; count > 0 && i < connections.size(); ++i) {
            connections[i]->pump(waiting[i].revents);
        }
    }
    return true;
}

void Connection::serve(std::span<Connection* const> connections, int until_readable) {
    std::vector<pollfd> waiting;
    for (;;) {
        waiting.assign(1, {until_readable, POLLIN, 0});
        for (const Connection* connection : connections) {
            // An idle connection is left alone: what its server does is noticed by the next request.
            const bool busy =
                connection->transmission_->in_flight() > 0 || connection->transmission_->subscriptions() > 0;
            waiting.push_back(
                {busy ? connection->socket_.descriptor() : -1, connection->awaited_events(), 0});
        }
        const int count = ::poll(waiting.data(), waiting.size(), -1);
        if (count > 0 && waiting[0].revents != 0) {
            return;
        }
        for (std::size_t i = 0; count > 0 && i < connections.size(); ++i) {
            connections[i]->pump(waiting[i + 1].revents);
        }
    }
}

void Connection::settle() {
    pump_until([&] { return transmission_->in_flight() == 0 || ended_; }, "all replies");
    if (transmission_->in_flight() > 0) {
        check_alive();
    }
}

void Connection::disconnect() {
    check_alive();
    settle();
    if (ended_ && disconnecting_) {
        return;
    }
    check_alive();
    queue_disconnect();
    pump_until([&] { return outgoing_.empty() || ended_; }, "the server to take NBD_CMD_DISC");
    // Some servers (nbdkit 1.42) close only when they read the end of the stream, which may come with it.
    socket_.finish_sending();
    pump_until([&] { return ended_.has_value(); }, "the server to close the connection after NBD_CMD_DISC");
    if (ended_->kind() == FailureKind::protocol) {
        throw *ended_;
    }
}

void Connection::drop() {
    end(Failure(FailureKind::connection, ENOTCONN, "the connection was closed by this client"));
}

} // namespace refclient
