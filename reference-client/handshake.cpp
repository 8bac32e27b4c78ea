#include "reference-client/handshake.hpp"

#include "faults/client_tls.hpp"
#include "faults/relay.hpp"
#include "protocol/transmission.hpp"
#include "reference-client/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/uio.h>
#include <system_error>

namespace refclient {
namespace {

/// Time that a server gets to acknowledge NBD_OPT_ABORT. Nothing depends on the answer.
constexpr auto abort_patience = std::chrono::seconds(1);

void wait_for(const Socket& socket, short events, Clock::time_point deadline,
              const Negotiation& negotiation) {
    pollfd waiting{socket.descriptor(), events, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, poll_timeout(deadline));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        throw Failure(
            FailureKind::connection, ETIMEDOUT,
            fmt::format("timed out while waiting for the server to send {}", negotiation.awaited()));
    }
}

void send_all(Socket& socket, nbd::Buffer bytes, Clock::time_point deadline, const Negotiation& negotiation) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        std::array<iovec, 1> part{{{bytes.data() + sent, bytes.size() - sent}}};
        if (const auto count = socket.send(part)) {
            sent += *count;
        } else {
            wait_for(socket, POLLOUT, deadline, negotiation);
        }
    }
}

/// Receives once. Returns what does not belong to the handshake any more.
nbd::Buffer receive_once(Socket& socket, Negotiation& negotiation, Clock::time_point deadline) {
    wait_for(socket, POLLIN, deadline, negotiation);
    std::array<std::uint8_t, 4096> bytes{};
    std::array<iovec, 1> part{{{bytes.data(), bytes.size()}}};
    const auto count = socket.receive(part);
    if (!count) {
        return {};
    }
    if (*count == 0) {
        negotiation.feed_end();
        return {};
    }
    const nbd::Bytes received = nbd::Bytes(bytes).first(*count);
    const nbd::Bytes rest = received.subspan(negotiation.feed(received));
    return {rest.begin(), rest.end()};
}

nbd::Buffer exchange(Socket& socket, Negotiation& negotiation, Clock::time_point deadline) {
    nbd::Buffer rest;
    bool leaving = false;
    for (;;) {
        if (nbd::Buffer output = negotiation.take_output(); !output.empty()) {
            send_all(socket, std::move(output), deadline, negotiation);
        }
        if (negotiation.finished()) {
            return rest;
        }
        if (negotiation.leaving() && !leaving) {
            leaving = true;
            deadline = std::min(deadline, Clock::now() + abort_patience);
        }
        rest = receive_once(socket, negotiation, deadline);
    }
}

/// A socket to the server, with what is to go wrong on it.
Socket connect(const nbd::Uri& uri, const Options& options, Clock::time_point deadline) {
    Socket socket = Socket::connect(uri, deadline);
    const faults::Fault* const fault = options.wire_fault;
    try {
        if (fault != nullptr) {
            socket = Socket(faults::interpose(socket.release(), fault->recipe, faults::Side::client));
        }
        if (options.ask_tls || (fault != nullptr && fault->about_tls)) {
            socket = Socket(
                faults::interpose(socket.release(), faults::asks_for_tls(uri.tls), faults::Side::client));
        }
        return socket;
    } catch (const std::system_error& error) {
        throw Failure(FailureKind::local, error.code().value(), error.what());
    }
}

void send_disconnect(Socket& socket, const Negotiation& negotiation, const Options& options) {
    nbd::Buffer bytes;
    nbd::encode_request_to(bytes, {0, nbd::Command::disc, 1, 0, 0}, negotiation.info().headers);
    try {
        send_all(socket, std::move(bytes), Clock::now() + options.timeout, negotiation);
    } catch (const Failure&) {
        // That the server has gone meanwhile would be as well.
    }
}

} // namespace

Handshaken shake_hands(const nbd::Uri& uri, const Options& options, Goal goal) {
    if (uri.tls && !options.ask_tls) {
        throw Failure(FailureKind::local, ENOTSUP,
                      "this client does not have TLS yet, so it cannot open nbds:// and nbds+unix:// URIs; a "
                      "server that does not demand TLS can be reached by nbd:// or nbd+unix://");
    }
    Negotiation negotiation(options, goal, uri.export_name);
    const Clock::time_point deadline = Clock::now() + options.timeout;
    Socket socket = connect(uri, options, deadline);
    nbd::Buffer rest;
    try {
        rest = exchange(socket, negotiation, deadline);
    } catch (const Failure& failure) {
        // Once the client has decided to leave, it does not matter how the server takes it.
        if (!negotiation.leaving()) {
            meet_trouble(options.fragility, Phase::handshake, failure.kind());
            throw Failure(failure.kind(), failure.code(),
                          fmt::format("{}: {}", address_text(uri), failure.what()));
        }
    }
    if (negotiation.failure()) {
        meet_trouble(options.fragility, Phase::handshake, negotiation.failure()->kind());
        // What an oldstyle server has may be of no use, but the way out of its export is the usual one.
        if (negotiation.in_transmission()) {
            send_disconnect(socket, negotiation, options);
        }
        throw Failure(negotiation.failure()->kind(), negotiation.failure()->code(),
                      fmt::format("{}: {}", address_text(uri), negotiation.failure()->what()));
    }
    return {std::move(socket), std::move(negotiation), std::move(rest)};
}

ExportInfo query_info(const nbd::Uri& uri, const Options& options) {
    Handshaken done = shake_hands(uri, options, Goal::info);
    if (done.negotiation.in_transmission()) {
        send_disconnect(done.socket, done.negotiation, options);
    }
    return done.negotiation.info();
}

std::vector<ListedExport> query_list(const nbd::Uri& uri, const Options& options) {
    return shake_hands(uri, options, Goal::list).negotiation.exports();
}

} // namespace refclient
