#pragma once

// One connection of the driver protocol: one or several libnbd handles, and the steps on them.

#include "drivers/libnbd/handle.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace driver {

/// The handles of one `connect` step. With several, which a server has to promise to be safe (multi-conn),
/// requests go to them in turn.
class Connection {
  public:
    /// Connects. Throws Failure; nothing stays open then.
    Connection(const LibnbdOptions& options, const std::string& uri);

    [[nodiscard]] ExportInfo info() const { return info_; }
    [[nodiscard]] const std::string& uri() const { return uri_; }

    /// The size that the export is held to have: the one of the handshake, until something newer is known.
    [[nodiscard]] std::uint64_t held() const { return held_; }
    void hold(std::uint64_t size) { held_ = size; }

    /// Submits the requests of `step` without waiting for anything. `requests` has room for `count` outcomes
    /// and, for a read or a write, `count * length` bytes.
    void submit(const Transfer& step, const std::shared_ptr<Requests>& requests);

    /// Waits for every reply. If the server keeps silent for too long, the connections that owe a reply are
    /// given up.
    void wait_for(const Requests& requests);

    /// Flushes. A server that promises multi-conn flushes by it what any connection's finished writes left,
    /// so one of the connections is enough.
    void flush(const Flags& flags);
    [[nodiscard]] std::vector<Extent> map(const Map& step);

    /// NBD_CMD_DISC on every connection, then waits for the server to close them, at most `patience`. Throws
    /// Failure if a connection was gone already or the server does not close it.
    void disconnect(std::chrono::milliseconds patience);

    /// Every handle, for serve().
    [[nodiscard]] const std::vector<Handle*>& handles() const { return pointers_; }

  private:
    Handle& next();

    const LibnbdOptions& options_;
    std::vector<std::unique_ptr<Handle>> handles_;
    std::vector<Handle*> pointers_;
    std::size_t turn_ = 0;
    std::string uri_;
    ExportInfo info_;
    std::uint64_t held_ = 0; ///< bytes
};

} // namespace driver
