#include "reference-server/net/connection.hpp"

#include "reference-server/backend/client_race.hpp"
#include "reference-server/backend/operation.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <exception>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <system_error>
#include <utility>

namespace refserver {
namespace {

/// Replies are sent together; this many bytes are enough to begin with.
constexpr std::uint64_t send_early = std::uint64_t{256} << 10;
/// How often a busy connection may read before the others of its thread get their turn.
constexpr int reads_per_turn = 16;
constexpr std::size_t most_vectors = 256;
/// How long the client has to take note of the end.
constexpr std::chrono::seconds farewell{2};

void carry_out(Export& served, Operation& operation) {
    try {
        served.perform(operation);
    } catch (const std::exception& error) {
        operation.fail(nbd::Error::io, error.what());
    }
}

} // namespace

Connection::Connection(const Surroundings& surroundings, Descriptor socket, Trace trace,
                       Clock::time_point handshake_deadline)
  : surroundings_(surroundings)
  , socket_(std::move(socket))
  , trace_(std::move(trace))
  , session_(surroundings.options, surroundings.catalogue, surroundings.pool, trace_)
  , deadline_(handshake_deadline) {}

Connection::~Connection() = default;

void Connection::start() {
    session_.on_size_change([this, weak = weak_from_this()] {
        surroundings_.reactor.post([weak] {
            if (const auto self = weak.lock()) {
                self->size_changed();
            }
        });
    });
    guarded([this] { pump(); });
}

void Connection::size_changed() {
    if (!closed_ && !lingering_) {
        guarded([this] {
            session_.tell_size();
            pump();
        });
    }
}

void Connection::guarded(const std::function<void()>& body) {
    try {
        body();
    } catch (const std::exception& error) {
        log(error.what());
        drop();
    }
}

void Connection::on_events(std::uint32_t events) {
    if (closed_) {
        return;
    }
    guarded([this, events] {
        if (lingering_) {
            return discard_input();
        }
        if ((events & (EPOLLOUT | EPOLLERR)) != 0) {
            send_blocked_ = false;
        }
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            read_some();
        }
        pump();
    });
}

void Connection::read_some() {
    for (int turn = 0; turn < reads_per_turn && !closed_ && session_.wants_input(); ++turn) {
        const std::array<iovec, 2> space = session_.input_space();
        const ssize_t got = ::readv(socket_.get(), space.data(), space[1].iov_len == 0 ? 1 : 2);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0) {
            log(std::system_category().message(errno));
            return drop();
        }
        if (got == 0) {
            end_seen_ = true;
            return session_.end_of_input();
        }
        const auto size = static_cast<std::size_t>(got);
        session_.received(size);
        run_operations();
        if (size < space[0].iov_len + space[1].iov_len) {
            return;
        }
    }
}

void Connection::run_operations() {
    while (Operation* operation = session_.next_operation()) {
        bool done = false;
        try {
            done = session_.served().try_now(*operation);
        } catch (const std::exception& error) {
            operation->fail(nbd::Error::io, error.what());
            done = true;
        }
        if (!done) {
            send_in_background(*operation);
            continue;
        }
        session_.complete(*operation);
        if (session_.output().size() >= send_early) {
            flush();
        }
    }
}

void Connection::send_in_background(Operation& operation) {
    auto done = [self = shared_from_this(), &operation]() mutable {
        // Whoever completes it keeps no reference, lest the connection is destroyed in the wrong thread.
        Reactor& reactor = self->surroundings_.reactor;
        reactor.post([owner = std::move(self), &operation] { owner->completed(operation); });
    };
    if (session_.served().start(operation, done)) {
        return;
    }
    boost::asio::post(surroundings_.workers, [served = &session_.served(), &operation, done]() mutable {
        carry_out(*served, operation);
        done();
    });
}

void Connection::completed(Operation& operation) {
    guarded([this, &operation] {
        session_.complete(operation);
        if (closed_) {
            if (session_.handed_out() == 0) {
                surroundings_.on_closed(*this);
            }
            return;
        }
        if (!lingering_) {
            pump();
        }
    });
}

void Connection::flush() {
    std::array<iovec, most_vectors> vectors;
    while (!closed_ && !send_blocked_ && !session_.output().empty()) {
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = session_.output().gather(vectors);
        const ssize_t sent = [&] {
            // The kernel reads straight from memory that the backend lent.
            const ClientRace race;
            return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        }();
        if (sent >= 0) {
            session_.sent(static_cast<std::uint64_t>(sent));
        } else if (errno == EAGAIN) {
            send_blocked_ = true;
        } else if (errno != EINTR) {
            log(std::system_category().message(errno));
            drop();
        }
    }
}

void Connection::pump() {
    // Sending makes room for requests that waited, which may have replies at once.
    for (;;) {
        run_operations();
        if (closed_ || send_blocked_ || session_.output().empty()) {
            break;
        }
        flush();
    }
    if (closed_) {
        return;
    }
    if (session_.finished() || (shutting_down_ && (session_.in_handshake() || session_.idle()))) {
        return linger();
    }
    update_interest();
}

void Connection::linger() {
    if (trace_) {
        trace_(fmt::format("ends: {}",
                           session_.reason().empty() ? "the server is being shut down" : session_.reason()));
    }
    if (session_.client_left()) {
        // It sends nothing more, and what it was sent is on its way.
        return drop();
    }
    // Closing with input unread would reset the connection, and the client might lose replies by it.
    ::shutdown(socket_.get(), SHUT_WR);
    session_.abandon();
    if (end_seen_) {
        return close();
    }
    lingering_ = true;
    deadline_ = Clock::now() + farewell;
    discard_input();
    if (closed_) {
        return;
    }
    if (shutting_down_) {
        // What came so far is discarded; the end of the server does not wait for more.
        return close();
    }
    update_interest();
}

void Connection::discard_input() {
    std::array<std::uint8_t, 16384> scratch;
    for (int turn = 0; turn < reads_per_turn; ++turn) {
        const ssize_t got = ::read(socket_.get(), scratch.data(), scratch.size());
        if (got > 0 || (got < 0 && errno == EINTR)) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        return close();
    }
}

void Connection::update_interest() {
    std::uint32_t wanted = 0;
    if (lingering_ || session_.wants_input()) {
        wanted |= EPOLLIN;
    }
    if (send_blocked_ && !lingering_) {
        wanted |= EPOLLOUT;
    }
    if (wanted == interest_) {
        return;
    }
    // A descriptor that nothing is wanted of is taken out altogether, or its hang-up would be told for ever.
    if (interest_ == 0) {
        surroundings_.reactor.add(socket_.get(), wanted, *this);
    } else if (wanted == 0) {
        surroundings_.reactor.remove(socket_.get());
    } else {
        surroundings_.reactor.modify(socket_.get(), wanted, *this);
    }
    interest_ = wanted;
}

void Connection::shut_down() {
    if (closed_) {
        return;
    }
    if (lingering_) {
        return close();
    }
    shutting_down_ = true;
    guarded([this] {
        session_.shut_down();
        read_some();
        if (!closed_) {
            pump();
        }
    });
}

void Connection::check_deadline(Clock::time_point now) {
    if (closed_ || now < deadline_) {
        return;
    }
    if (lingering_) {
        close();
    } else if (session_.in_handshake()) {
        log("the handshake takes too long");
        drop();
    }
}

void Connection::drop() {
    if (!closed_) {
        session_.abandon();
        close();
    }
}

void Connection::close() {
    closed_ = true;
    // Nobody else has the descriptor, so that the kernel takes it out of the reactor with this.
    interest_ = 0;
    socket_.reset();
    if (session_.handed_out() == 0) {
        surroundings_.on_closed(*this);
    }
}

void Connection::log(std::string_view text) const {
    if (trace_) {
        trace_(text);
    }
}

} // namespace refserver
