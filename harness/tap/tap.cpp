#include "harness/tap/tap.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

namespace harness {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Socket = Protocol::socket;
using boost::system::error_code;

Protocol::endpoint endpoint(const Address& address) {
    if (const auto* unix_address = std::get_if<UnixAddress>(&address)) {
        return asio::local::stream_protocol::endpoint(unix_address->path.string());
    }
    const auto& tcp = std::get<TcpAddress>(address);
    return asio::ip::tcp::endpoint(asio::ip::make_address(tcp.host), tcp.port);
}

/// Does not wait for more to send. Without meaning for Unix sockets, which refuse it.
void send_at_once(Socket& socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
}

/// Closes so that the other end gets a reset.
void reset(Socket& socket) {
    error_code ignored;
    socket.set_option(asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);
}

/// A client's connection and the one to the server.
struct Connection {
    Connection(std::uint32_t number_, Socket client_, asio::io_context& context)
      : number(number_)
      , client(std::move(client_))
      , server(context) {}

    Socket& socket(wire::Side side) { return side == wire::Side::client ? client : server; }

    std::uint32_t number;
    Socket client;
    Socket server;
    int directions = 2; ///< that have not ended
};

} // namespace

class Tap::Engine {
  public:
    Engine(Address server, Listener listener, TapObserver& observer)
      : server_(std::move(server))
      , observer_(observer)
      , listener_(std::move(listener))
      , acceptor_(context_) {
        const auto protocol = endpoint(listener_.address).protocol();
        acceptor_.assign(protocol, listener_.fd.release());
        asio::co_spawn(context_, accept(), asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }

    ~Engine() { stop(); }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    [[nodiscard]] const Address& address() const { return listener_.address; }

    void forward_to(const Address& server) {
        const std::scoped_lock lock(mutex_);
        server_ = server;
    }

    bool wait_idle(std::chrono::steady_clock::time_point deadline) {
        std::unique_lock lock(mutex_);
        return idle_.wait_until(lock, deadline, [this] { return open_ == 0; });
    }

    void stop() {
        if (!thread_.joinable()) {
            return;
        }
        context_.stop();
        thread_.join();
        // What is left of the coroutines goes with the context.
        error_code ignored;
        for (const auto& connection : connections_) {
            connection->client.close(ignored);
            connection->server.close(ignored);
        }
        connections_.clear();
        acceptor_.close(ignored);
        if (const auto* unix_address = std::get_if<UnixAddress>(&listener_.address)) {
            std::error_code missing;
            std::filesystem::remove(unix_address->path, missing);
        }
    }

  private:
    asio::awaitable<void> accept() {
        for (;;) {
            error_code failed;
            Socket client =
                co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, failed));
            if (failed == asio::error::operation_aborted) {
                co_return;
            }
            if (!failed) {
                asio::co_spawn(context_, serve(std::move(client)), asio::detached);
            }
        }
    }

    asio::awaitable<void> serve(Socket client) {
        const auto connection = std::make_shared<Connection>(++count_, std::move(client), context_);
        connections_.push_back(connection);
        change_open(+1);
        observer_.opened(connection->number);
        error_code failed;
        co_await connection->server.async_connect(endpoint(server()),
                                                  asio::redirect_error(asio::use_awaitable, failed));
        if (failed) {
            close(connection, true);
            co_return;
        }
        send_at_once(connection->client);
        send_at_once(connection->server);
        asio::co_spawn(context_, forward(connection, wire::Side::client), asio::detached);
        asio::co_spawn(context_, forward(connection, wire::Side::server), asio::detached);
    }

    /// Passes on what a side sends, until it ends or nobody takes it any more.
    asio::awaitable<void> forward(std::shared_ptr<Connection> connection, wire::Side side) {
        Socket& from = connection->socket(side);
        Socket& to = connection->socket(wire::other(side));
        std::size_t room = first_buffer;
        auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(room);
        for (;;) {
            error_code failed;
            const std::size_t size = co_await from.async_read_some(
                asio::buffer(buffer.get(), room), asio::redirect_error(asio::use_awaitable, failed));
            if (failed == asio::error::operation_aborted || !from.is_open()) {
                co_return; // the other direction has closed both
            }
            if (failed) {
                const bool orderly = failed == asio::error::eof;
                observer_.ended(connection->number, side, orderly ? wire::End::closed : wire::End::reset);
                if (!orderly) {
                    close(connection, true);
                    co_return;
                }
                error_code gone;
                to.shutdown(Socket::shutdown_send, gone);
                break;
            }
            observer_.bytes(connection->number, side, {buffer.get(), size});
            co_await asio::async_write(to, asio::buffer(buffer.get(), size),
                                       asio::redirect_error(asio::use_awaitable, failed));
            if (failed) {
                // Nobody reads there any more. What it sent before is still to be passed on; then closing
                // tells this side, which has bytes that nobody took.
                break;
            }
            if (size == room && room < largest_buffer) {
                room = largest_buffer;
                buffer = std::make_unique_for_overwrite<std::uint8_t[]>(room);
            }
        }
        if (--connection->directions == 0) {
            close(connection, false);
        }
    }

    void close(const std::shared_ptr<Connection>& connection, bool by_force) {
        if (by_force) {
            reset(connection->client);
            reset(connection->server);
        }
        error_code ignored;
        connection->client.close(ignored);
        connection->server.close(ignored);
        if (connections_.remove(connection) > 0) {
            change_open(-1);
        }
    }

    [[nodiscard]] Address server() {
        const std::scoped_lock lock(mutex_);
        return server_;
    }

    void change_open(int by) {
        const std::scoped_lock lock(mutex_);
        open_ += by;
        if (open_ == 0) {
            idle_.notify_all();
        }
    }

    Address server_; ///< guarded by the mutex
    TapObserver& observer_;
    Listener listener_;
    asio::io_context context_{1};
    std::list<std::shared_ptr<Connection>> connections_;
    asio::basic_socket_acceptor<Protocol> acceptor_;
    std::uint32_t count_ = 0;
    std::mutex mutex_;
    std::condition_variable idle_;
    int open_ = 0; ///< connections; guarded by the mutex
    std::thread thread_;
};

Tap::Tap(const Address& server, const std::filesystem::path& path, TapObserver& observer)
  : Tap(server, std::holds_alternative<UnixAddress>(server) ? listen_unix(path) : listen_tcp(), observer) {}

Tap::Tap(const Address& server, Listener listener, TapObserver& observer)
  : engine_(std::make_unique<Engine>(server, std::move(listener), observer)) {}

Tap::~Tap() = default;

const Address& Tap::address() const {
    return engine_->address();
}

void Tap::forward_to(const Address& server) {
    engine_->forward_to(server);
}

bool Tap::wait_idle(std::chrono::steady_clock::time_point deadline) {
    return engine_->wait_idle(deadline);
}

void Tap::stop() {
    engine_->stop();
}

} // namespace harness
