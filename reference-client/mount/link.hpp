#pragma once

// The connection of a mount: it may break and be made again, and nothing waits for a reply unless it wants
// to.

#include "protocol/uri.hpp"
#include "reference-client/connection.hpp"
#include "reference-client/mount/file_errors.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace refclient::mount {

/// Takes a sentence about what happened, for people.
using Log = std::function<void(std::string_view)>;

/// What came of requests that belong together.
struct Result {
    std::optional<Failure> error;      ///< the first of the errors
    std::vector<ContextStatus> status; ///< of a block status
};

/// Requests to one export, over one connection at a time. For one thread. When the connection breaks, every
/// request in flight fails; none is ever sent again, since nobody knows what the server did with it.
class Link {
  public:
    using Done = std::function<void(const Result&)>;

    /// `reconnect`: connect again, for the next request after the connection has broken.
    Link(nbd::Uri uri, Options options, bool reconnect, Log log);

    /// Called with every new connection before requests go over it; may throw Failure, which makes it no
    /// connection.
    void on_connected(std::function<void(Connection&)> call) { connected_ = std::move(call); }
    /// Called when the connection has broken.
    void on_lost(std::function<void()> call) { lost_ = std::move(call); }

    /// Connects. Throws Failure.
    void open();
    /// There is a connection, or one can be made now.
    [[nodiscard]] bool ready();
    [[nodiscard]] bool connected() const { return connection_ != nullptr; }
    /// The connection, if there is one.
    [[nodiscard]] const Connection* connection() const { return connection_.get(); }
    /// As the last connection's handshake told it.
    [[nodiscard]] const ExportInfo& info() const { return info_; }
    /// The size of the export as far as it is known, in bytes; without a connection the one that was known
    /// last.
    [[nodiscard]] std::uint64_t size() const { return connection_ ? connection_->size() : last_size_; }
    [[nodiscard]] const nbd::Uri& uri() const { return uri_; }

    /// Takes requests, which are sent when bytes move next or by `send`, and calls `done` when all of them
    /// are answered, or at once if there is no connection. Their memory has to stay valid until then.
    void submit(std::vector<Operation> operations, Done done);

    /// Carries out work that waits for replies. Returns what it threw, or that there is no connection.
    [[nodiscard]] std::optional<Failure> run(const std::function<void(Connection&)>& work);

    /// Calls what waits for replies that have come.
    void take();
    /// Requests in flight, other than those of `run`.
    [[nodiscard]] std::size_t in_flight() const { return waiting_.size(); }

    /// What to wait on, with poll(2); -1 without a connection.
    [[nodiscard]] int descriptor() const { return connection_ ? connection_->descriptor() : -1; }
    [[nodiscard]] short events() const { return connection_ ? connection_->awaited_events() : short{0}; }
    /// Sends what was submitted, as far as the operating system takes it at once.
    void send();
    /// Moves bytes and calls what waits for the replies among them.
    void move(short events);
    /// When to call `expire`, at the latest.
    [[nodiscard]] Clock::time_point deadline() const;
    /// Gives up a server that is silent for too long.
    void expire();

    /// Ends the connection by the rules, if there is one. Throws Failure.
    void disconnect();

  private:
    struct Job {
        std::size_t open = 0; ///< requests that are not answered
        Result result;
        Done done;
    };

    [[nodiscard]] Failure not_connected() const;
    [[nodiscard]] bool reopen();
    void queue(Operation operation, const std::shared_ptr<Job>& job);
    static void answer(Job& job, std::optional<Failure> error);
    void lose(const Failure& why);

    nbd::Uri uri_;
    Options options_;
    bool reconnect_;
    Log log_;
    std::function<void(Connection&)> connected_;
    std::function<void()> lost_;
    std::unique_ptr<Connection> connection_;
    ExportInfo info_;
    std::uint64_t last_size_ = 0;
    std::string trouble_; ///< why there is no connection, as it was logged
    Clock::time_point retry_at_{};
    Clock::time_point last_moved_{};
    std::unordered_map<Cookie, std::shared_ptr<Job>> waiting_;
};

} // namespace refclient::mount
