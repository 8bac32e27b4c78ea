#include "reference-server/net/server.hpp"

#include "faults/relay.hpp"
#include "reference-server/net/connection.hpp"
#include "reference-server/net/reactor.hpp"
#include "reference-server/session/buffers.hpp"

#include <boost/asio/thread_pool.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace refserver {
namespace {

using Clock = Connection::Clock;

/// An event source that is a function.
class Callback : public EventSource {
  public:
    explicit Callback(std::function<void()> function)
      : function_(std::move(function)) {}
    void on_events(std::uint32_t /*events*/) override { function_(); }

  private:
    std::function<void()> function_;
};

/// A thread with its connections.
class IoThread {
  public:
    IoThread(const ServerOptions& options, ExportCatalogue& catalogue, boost::asio::thread_pool& workers,
             std::function<void()> on_closed)
      : options_(options)
      , surroundings_{reactor_,        pool_,     workers,
                      options.session, catalogue, [this](Connection& connection) { forget(connection); }}
      , on_closed_(std::move(on_closed))
      , thread_([this] { reactor_.run(); }) {}

    ~IoThread() {
        if (thread_.joinable()) {
            reactor_.stop();
            thread_.join();
        }
    }
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;

    [[nodiscard]] std::size_t load() const { return load_.load(std::memory_order_relaxed); }

    void adopt(Descriptor socket, Trace trace) {
        load_.fetch_add(1, std::memory_order_relaxed);
        reactor_.post([this, number = std::make_shared<Descriptor>(std::move(socket)),
                       trace = std::move(trace)] {
            const auto limit = options_.handshake_limit;
            const auto deadline = limit.count() == 0 ? Clock::time_point::max() : Clock::now() + limit;
            std::shared_ptr<Connection> connection;
            try {
                connection = std::make_shared<Connection>(surroundings_, std::move(*number), trace, deadline);
            } catch (const std::exception& error) {
                fmt::print(stderr, "nbd-resize-server: a connection was given up: {}\n", error.what());
                forget_one();
                return;
            }
            connections_.emplace(connection.get(), connection);
            reactor_.tick_while([this] { return tick(); });
            connection->start();
        });
    }

    /// Lets the connections end; they have until `deadline`.
    void shut_down(Clock::time_point deadline) {
        reactor_.post([this, deadline] {
            shutdown_deadline_ = deadline;
            for (const auto& connection : snapshot()) {
                connection->shut_down();
            }
            reactor_.tick_while([this] { return tick(); });
        });
    }

  private:
    [[nodiscard]] std::vector<std::shared_ptr<Connection>> snapshot() const {
        std::vector<std::shared_ptr<Connection>> all;
        for (const auto& entry : connections_) {
            all.push_back(entry.second);
        }
        return all;
    }

    bool tick() {
        const auto now = Clock::now();
        for (const auto& connection : snapshot()) {
            if (now >= shutdown_deadline_) {
                connection->drop();
            } else {
                connection->check_deadline(now);
            }
        }
        return !connections_.empty();
    }

    void forget(Connection& connection) {
        const auto found = connections_.find(&connection);
        if (found != connections_.end()) {
            reactor_.retire(std::move(found->second));
            connections_.erase(found);
            forget_one();
        }
    }

    void forget_one() {
        load_.fetch_sub(1, std::memory_order_relaxed);
        on_closed_();
    }

    const ServerOptions& options_;
    Reactor reactor_;
    BufferPool pool_;
    Connection::Surroundings surroundings_;
    std::function<void()> on_closed_;
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
    Clock::time_point shutdown_deadline_ = Clock::time_point::max();
    std::atomic<std::size_t> load_{0};
    std::thread thread_;
};

/// Blocks the signals that end the server, in this thread and those it starts, and makes them readable.
Descriptor catch_ending_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    Descriptor readable(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!readable.valid()) {
        throw std::system_error(errno, std::system_category(), "signalfd");
    }
    return readable;
}

} // namespace

class Server::Implementation {
  public:
    Implementation(const ServerOptions& options, ExportCatalogue& catalogue, std::vector<Listener> listeners)
      : options_(options)
      , catalogue_(catalogue)
      , listeners_(std::move(listeners))
      , signals_(catch_ending_signals())
      , workers_(options.workers) {
        on_signal_ = std::make_unique<Callback>([this] { begin_shutdown(); });
        reactor_.add(signals_.get(), EPOLLIN, *on_signal_);
        for (const Listener& listener : listeners_) {
            acceptors_.push_back(std::make_unique<Callback>(
                [this, socket = listener.socket.get(), is_unix = !listener.unix_path.empty()] {
                    accept_from(socket, is_unix);
                }));
        }
        for (unsigned i = 0; i < options.io_threads; ++i) {
            threads_.push_back(std::make_unique<IoThread>(options_, catalogue, workers_, [this] {
                --connections_;
                // Waking this thread for nothing would cost more than the rest of closing.
                if (waits_for_closing_) {
                    reactor_.post([this] { connection_closed(); });
                }
            }));
        }
        resume_accepting();
    }

    void run() {
        reactor_.run();
        workers_.join();
        threads_.clear();
    }

    ~Implementation() {
        for (const Listener& listener : listeners_) {
            if (!listener.unix_path.empty()) {
                ::unlink(listener.unix_path.c_str());
            }
        }
        workers_.join();
    }

    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;

  private:
    void resume_accepting() {
        if (!accepting_ && !ending_) {
            accepting_ = true;
            for (std::size_t i = 0; i < listeners_.size(); ++i) {
                reactor_.add(listeners_[i].socket.get(), EPOLLIN, *acceptors_[i]);
            }
        }
    }

    void pause_accepting() {
        if (accepting_) {
            accepting_ = false;
            for (const Listener& listener : listeners_) {
                reactor_.remove(listener.socket.get());
            }
        }
    }

    void accept_from(int listening, bool is_unix) {
        while (accepting_) {
            if (options_.max_connections != 0 && connections_ >= options_.max_connections) {
                pause_accepting();
                waits_for_closing_ = true;
                if (connections_ < options_.max_connections) {
                    connection_closed();
                }
                return;
            }
            Descriptor socket(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!socket.valid()) {
                if (errno == EINTR || errno == ECONNABORTED) {
                    continue;
                }
                if (errno != EAGAIN) {
                    // Most likely file descriptors have run out; it is tried again a little later.
                    fmt::print(stderr, "nbd-resize-server: cannot accept a connection: {}\n",
                               std::system_category().message(errno));
                    pause_accepting();
                    retry_accepting_ = true;
                    if (!std::exchange(ticking_, true)) {
                        reactor_.tick_while([this] { return tick(); });
                    }
                }
                return;
            }
            if (!is_unix) {
                const int on = 1;
                ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            }
            if (!interpose(socket)) {
                continue;
            }
            ++connections_;
            if (!std::exchange(ticking_, true)) {
                reactor_.tick_while([this] { return tick(); });
            }
            const auto least =
                std::min_element(threads_.begin(), threads_.end(),
                                 [](const auto& a, const auto& b) { return a->load() < b->load(); });
            (*least)->adopt(std::move(socket), make_trace(++accepted_));
        }
    }

    /// Puts the twists between the client and its session; false if the client is lost by it.
    bool interpose(Descriptor& socket) {
        try {
            for (const faults::Recipe& twist : options_.twists) {
                socket = Descriptor(faults::interpose(socket.release(), twist, faults::Side::server));
            }
            return true;
        } catch (const std::system_error& error) {
            fmt::print(stderr, "nbd-resize-server: a connection was given up: {}\n", error.what());
            return false;
        }
    }

    bool tick() {
        if (std::exchange(retry_accepting_, false)) {
            resume_accepting();
        }
        catalogue_.refresh();
        ticking_ = connections_ != 0;
        return ticking_;
    }

    [[nodiscard]] Trace make_trace(std::uint64_t number) const {
        if (!options_.verbose) {
            return {};
        }
        return [number](std::string_view line) { fmt::print(stderr, "connection {}: {}\n", number, line); };
    }

    void connection_closed() {
        if (ending_ && connections_ == 0) {
            reactor_.stop();
        } else if (!ending_) {
            waits_for_closing_ = false;
            resume_accepting();
        }
    }

    void begin_shutdown() {
        signalfd_siginfo info{};
        while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        }
        const auto now = Clock::now();
        // The second signal means now.
        const auto deadline = ending_ ? now : now + options_.shutdown_limit;
        ending_ = true;
        waits_for_closing_ = true;
        pause_accepting();
        catalogue_.shut_down(deadline);
        for (const auto& thread : threads_) {
            thread->shut_down(deadline);
        }
        if (connections_ == 0) {
            reactor_.stop();
        }
    }

    const ServerOptions options_;
    ExportCatalogue& catalogue_;
    bool retry_accepting_ = false;
    std::vector<Listener> listeners_;
    Descriptor signals_; ///< before any thread is started
    boost::asio::thread_pool workers_;
    Reactor reactor_;
    std::unique_ptr<Callback> on_signal_;
    std::vector<std::unique_ptr<Callback>> acceptors_;
    bool accepting_ = false;
    bool ending_ = false;
    bool ticking_ = false;
    std::atomic<std::size_t> connections_{0};
    /// Set while it matters here at once that a connection closes.
    std::atomic<bool> waits_for_closing_{false};
    std::uint64_t accepted_ = 0;
    std::vector<std::unique_ptr<IoThread>> threads_;
};

Server::Server(const ServerOptions& options, ExportCatalogue& catalogue, std::vector<Listener> listeners)
  : implementation_(std::make_unique<Implementation>(options, catalogue, std::move(listeners))) {}

Server::~Server() = default;

void Server::run() {
    implementation_->run();
}

} // namespace refserver
