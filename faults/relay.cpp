#include "faults/relay.hpp"

#include "faults/exchange.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <list>
#include <memory>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace faults {
namespace {

using Clock = std::chrono::steady_clock;

/// No more is read of a side while so many bytes wait to be sent to the other.
constexpr std::size_t most_queued = std::size_t{4} << 20;
/// What is still to be sent at the end of the process gets this long.
constexpr std::chrono::seconds farewell{1};

/// Owns a descriptor.
class Descriptor {
  public:
    explicit Descriptor(int number)
      : number_(number) {}
    Descriptor(Descriptor&& from) noexcept
      : number_(std::exchange(from.number_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const { return number_; }
    [[nodiscard]] bool open() const { return number_ >= 0; }
    [[nodiscard]] int release() { return std::exchange(number_, -1); }
    void reset() {
        if (open()) {
            ::close(std::exchange(number_, -1));
        }
    }

  private:
    int number_;
};

/// One of the two sockets of a relay.
struct End {
    Descriptor socket;
    Side side;                 ///< who is at its other end
    bool ended = false;        ///< it sends nothing more
    bool gone = false;         ///< it neither sends nor receives
    bool finished = false;     ///< it was told that nothing more comes
    bool blocked = false;      ///< it takes nothing at present
    std::size_t sent = 0;      ///< bytes of the first step
    Clock::time_point until{}; ///< end of a pause, if that is the first step
};

/// Moves the bytes of one connection.
class Relay {
  public:
    Relay(Descriptor outside, Descriptor inside, const Recipe& recipe, Side program)
      : exchange_(recipe.make(), recipe.at_work)
      , ends_{End{std::move(outside), other(program)}, End{std::move(inside), program}} {}

    /// Until the connection has ended; in a hurry once the descriptor is readable.
    void run(int hurry) {
        move_bytes(hurry);
        if (!reset_) {
            // Closing with input unread would reset the connection, and what was sent might be lost by it.
            ::shutdown(outside().socket.get(), SHUT_WR);
            while (::recv(outside().socket.get(), scratch_.data(), scratch_.size(), MSG_DONTWAIT) > 0) {
            }
        }
    }

  private:
    void move_bytes(int hurry) {
        auto last = Clock::time_point::max();
        while (!over() && Clock::now() < last) {
            for (End& end : ends_) {
                carry_out(end);
            }
            if (over()) {
                break;
            }
            wait(hurry, last);
        }
    }

    [[nodiscard]] bool over() {
        const bool flushed = steps(outside()).empty() && steps(inside()).empty();
        const bool left = outside().gone || inside().gone;
        return closed_ || (flushed && (left || (outside().finished && inside().finished)));
    }

    void wait(int hurry, Clock::time_point& last) {
        pollfd waiting[3] = {{ends_[0].gone ? -1 : ends_[0].socket.get(), events(ends_[0]), 0},
                             {ends_[1].gone ? -1 : ends_[1].socket.get(), events(ends_[1]), 0},
                             {last == Clock::time_point::max() ? hurry : -1, POLLIN, 0}};
        if (::poll(waiting, 3, timeout(last)) < 0) {
            return;
        }
        if (waiting[2].revents != 0) {
            last = Clock::now() + farewell;
        }
        for (int i = 0; i < 2; ++i) {
            End& end = ends_[i];
            if ((waiting[i].revents & POLLOUT) != 0) {
                end.blocked = false;
            }
            const bool hung_up = (waiting[i].revents & (POLLHUP | POLLERR)) != 0;
            if (hung_up && end.ended) {
                leave(end);
            } else if (hung_up || (waiting[i].revents & POLLIN) != 0) {
                read_from(end);
            }
        }
    }

    [[nodiscard]] short events(End& end) {
        const bool room = queued(exchange_.steps(other(end.side))) < most_queued;
        return static_cast<short>((!end.ended && room ? POLLIN : 0) | (end.blocked ? POLLOUT : 0));
    }

    [[nodiscard]] static std::size_t queued(const std::deque<Step>& steps) {
        std::size_t bytes = 0;
        for (const Step& step : steps) {
            const auto* const send = std::get_if<Send>(&step);
            bytes += send != nullptr ? send->bytes.size() : 0;
        }
        return bytes;
    }

    [[nodiscard]] int timeout(Clock::time_point last) {
        auto next = last;
        for (End& end : ends_) {
            if (!steps(end).empty() && std::holds_alternative<Pause>(steps(end).front())) {
                next = std::min(next, end.until);
            }
        }
        if (next == Clock::time_point::max()) {
            return -1;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
        return static_cast<int>(std::max<decltype(left)>(left, 0));
    }

    void read_from(End& end) {
        const ssize_t got = ::recv(end.socket.get(), scratch_.data(), scratch_.size(), MSG_DONTWAIT);
        if (got > 0) {
            exchange_.receive(end.side, nbd::Bytes(scratch_).first(static_cast<std::size_t>(got)));
        } else if (got == 0) {
            end.ended = true;
            exchange_.end(end.side);
        } else if (errno != EAGAIN && errno != EINTR) {
            leave(end);
        }
    }

    void leave(End& end) {
        if (!std::exchange(end.ended, true)) {
            exchange_.end(end.side);
        }
        end.gone = true;
        end.blocked = false;
        steps(end).clear();
    }

    void carry_out(End& end) {
        if (end.gone) {
            steps(end).clear();
        }
        while (!end.blocked && !closed_ && !steps(end).empty()) {
            if (!std::visit([&](auto& step) { return done(step, end); }, steps(end).front())) {
                return;
            }
            if (!end.gone && !steps(end).empty()) {
                steps(end).pop_front();
            }
            end.sent = 0;
            end.until = {};
        }
    }

    bool done(Send& send, End& end) {
        while (end.sent < send.bytes.size()) {
            const std::size_t left = send.bytes.size() - end.sent;
            // What follows at once goes along, so that the other side cannot answer in between.
            Send* const next = send.piece == 0 ? next_whole(end) : nullptr;
            std::array<iovec, 2> parts{{{send.bytes.data() + end.sent, left}, {nullptr, 0}}};
            if (next != nullptr) {
                parts[1] = {next->bytes.data(), next->bytes.size()};
            } else if (send.piece != 0) {
                parts[0].iov_len = std::min(left, send.piece);
            }
            msghdr message{};
            message.msg_iov = parts.data();
            message.msg_iovlen = next != nullptr ? 2 : 1;
            const ssize_t sent = ::sendmsg(end.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno == EINTR) {
                continue;
            }
            if (sent < 0 && errno == EAGAIN) {
                end.blocked = true;
                return false;
            }
            if (sent < 0) {
                leave(end);
                return false;
            }
            const std::size_t own = std::min(left, static_cast<std::size_t>(sent));
            end.sent += own;
            if (next != nullptr) {
                next->bytes.erase(next->bytes.begin(),
                                  next->bytes.begin() + (sent - static_cast<ssize_t>(own)));
            }
        }
        return true;
    }

    /// The step behind the first one, if it sends bytes all at once.
    [[nodiscard]] Send* next_whole(End& end) {
        std::deque<Step>& queue = steps(end);
        Send* const next = queue.size() > 1 ? std::get_if<Send>(&queue[1]) : nullptr;
        return next != nullptr && next->piece == 0 ? next : nullptr;
    }

    static bool done(const Pause& pause, End& end) {
        if (end.until == Clock::time_point{}) {
            end.until = Clock::now() + pause.time;
        }
        return Clock::now() >= end.until;
    }

    static bool done(const FinishSending& /*step*/, End& end) {
        ::shutdown(end.socket.get(), SHUT_WR);
        end.finished = true;
        return true;
    }

    bool done(const Close& /*step*/, End& end) {
        closed_ = closed_ || &end == &outside();
        return true;
    }

    bool done(const Reset& /*step*/, End& end) {
        if (&end == &outside()) {
            const linger now{1, 0};
            ::setsockopt(end.socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
            closed_ = true;
            reset_ = true;
        }
        return true;
    }

    [[nodiscard]] End& outside() { return ends_[0]; }
    [[nodiscard]] End& inside() { return ends_[1]; }
    [[nodiscard]] std::deque<Step>& steps(const End& end) { return exchange_.steps(end.side); }

    Exchange exchange_;
    End ends_[2];
    bool closed_ = false;
    bool reset_ = false;
    nbd::Buffer scratch_ = nbd::Buffer(std::size_t{256} << 10);
};

/// The relays of the process and their threads.
class Relays {
  public:
    static Relays& all() {
        static Relays relays;
        return relays;
    }

    void start(std::unique_ptr<Relay> relay) {
        // Signals are for the program's own threads.
        sigset_t every;
        sigset_t before;
        ::sigfillset(&every);
        ::pthread_sigmask(SIG_SETMASK, &every, &before);
        const std::lock_guard lock(mutex_);
        join_finished();
        Running& running = running_.emplace_back();
        try {
            running.thread = std::thread([this, &running, owned = std::move(relay)]() mutable {
                owned->run(hurry_.get());
                owned.reset();
                running.finished = true;
            });
        } catch (...) {
            running_.pop_back();
            ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
            throw;
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

  private:
    struct Running {
        std::thread thread;
        std::atomic<bool> finished{false};
    };

    Relays()
      : hurry_(::eventfd(0, EFD_CLOEXEC)) {
        if (!hurry_.open()) {
            throw std::system_error(errno, std::system_category(), "eventfd");
        }
    }

    ~Relays() {
        ::eventfd_write(hurry_.get(), 1);
        for (Running& running : running_) {
            running.thread.join();
        }
    }

    void join_finished() {
        running_.remove_if([](Running& running) {
            if (running.finished) {
                running.thread.join();
            }
            return !running.thread.joinable();
        });
    }

    Descriptor hurry_;
    std::mutex mutex_;
    std::list<Running> running_;
};

} // namespace

int interpose(int socket, const Recipe& recipe, Side program) {
    Descriptor outside(socket);
    const int flags = ::fcntl(socket, F_GETFL);
    const int type = SOCK_STREAM | SOCK_CLOEXEC | ((flags & O_NONBLOCK) != 0 ? SOCK_NONBLOCK : 0);
    int pair[2];
    if (flags < 0 || ::socketpair(AF_UNIX, type, 0, pair) != 0) {
        throw std::system_error(errno, std::system_category(), "socketpair");
    }
    Descriptor inside(pair[0]);
    Descriptor programs(pair[1]);
    Relays::all().start(std::make_unique<Relay>(std::move(outside), std::move(inside), recipe, program));
    return programs.release();
}

} // namespace faults
