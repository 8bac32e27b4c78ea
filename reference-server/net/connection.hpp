#pragma once

#include "reference-server/net/descriptor.hpp"
#include "reference-server/net/reactor.hpp"
#include "reference-server/session/session.hpp"

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace refserver {

/// A session with its socket. Lives in the thread of its reactor.
class Connection : public EventSource, public std::enable_shared_from_this<Connection> {
  public:
    using Clock = std::chrono::steady_clock;

    /// What a connection gets from its server; all of it outlives the connection.
    struct Surroundings {
        Reactor& reactor;
        BufferPool& pool;
        boost::asio::thread_pool& workers;
        const SessionOptions& options;
        ExportCatalogue& catalogue;
        std::function<void(Connection&)> on_closed; ///< the last thing that the connection does
    };

    Connection(const Surroundings& surroundings, Descriptor socket, Trace trace,
               Clock::time_point handshake_deadline);
    ~Connection() override;

    /// Begins to talk.
    void start();
    void on_events(std::uint32_t events) override;
    /// Answers what is in progress, then closes.
    void shut_down();
    /// Closes if a deadline has passed.
    void check_deadline(Clock::time_point now);
    /// Closes now, whatever is in progress.
    void drop();

  private:
    void size_changed();
    void guarded(const std::function<void()>& body);
    void read_some();
    void run_operations();
    void send_in_background(Operation& operation);
    void completed(Operation& operation);
    void flush();
    void pump();
    void linger();
    void discard_input();
    void update_interest();
    void close();
    void log(std::string_view text) const;

    Surroundings surroundings_;
    Descriptor socket_;
    const Trace trace_;
    Session session_;
    Clock::time_point deadline_; ///< of the handshake, later of the farewell
    std::uint32_t interest_ = 0;
    bool send_blocked_ = false;
    bool end_seen_ = false; ///< the client sends nothing more
    bool lingering_ = false;
    bool shutting_down_ = false;
    bool closed_ = false;
};

} // namespace refserver
