#pragma once

// One or several connections to one export, used as one.

#include "reference-client/connection.hpp"

#include <memory>
#include <vector>

namespace refclient {

/// A request of a session.
struct Ticket {
    std::size_t connection = 0; ///< index
    Cookie cookie = 0;
};

/// Spreads requests over `Options::connections` connections where the server promises that they agree
/// (NBD_FLAG_CAN_MULTI_CONN), and over a single one otherwise. Functions throw Failure as Connection does.
class Session {
  public:
    [[nodiscard]] static Session open(const nbd::Uri& uri, const Options& options);

    [[nodiscard]] const ExportInfo& info() const { return connections_.front()->info(); }
    [[nodiscard]] std::size_t connection_count() const { return connections_.size(); }
    /// The size of the export as far as any of the connections knows, in bytes.
    [[nodiscard]] std::uint64_t size() const { return connections_.front()->size(); }
    [[nodiscard]] Connection& connection(std::size_t index) { return *connections_[index]; }

    /// Sends a request on the next connection in turn. A flush first waits for the replies to all requests in
    /// flight on all connections, because it would not cover them otherwise.
    Ticket submit(Operation operation);
    /// The same by `Connection::post`.
    Ticket post(Operation operation);
    [[nodiscard]] Completion wait(const Ticket& ticket);

    /// `Connection::disconnect` for all of them.
    void disconnect();
    /// `Connection::drop` for all of them.
    void drop();

  private:
    void before(const Operation& operation);
    [[nodiscard]] std::size_t turn();

    std::vector<std::unique_ptr<Connection>> connections_;
    std::size_t next_ = 0;
};

} // namespace refclient
