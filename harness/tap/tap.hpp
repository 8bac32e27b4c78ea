#pragma once

// The tap: stands between clients and a server and forwards their bytes, unchanged, while somebody looks on.

#include "harness/process/socket.hpp"
#include "harness/wire/side.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace harness {

/// Who looks on. All calls come from the tap's own thread, in the order in which the tap sees things.
class TapObserver {
  public:
    virtual ~TapObserver() = default;
    /// A client has connected. Connections are counted from 1.
    virtual void opened(std::uint32_t connection) = 0;
    /// A side has sent bytes. They are forwarded after this, so that what answers them is seen later.
    virtual void bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) = 0;
    /// A side has ended its direction; at most once for each. What the tap itself ends is not told.
    virtual void ended(std::uint32_t connection, wire::Side by, wire::End how) = 0;
};

/// Takes connections and makes one to the server for each. Half-closes and resets are passed on, and a side
/// that does not read makes the other one wait: no more than one buffer is under way in each direction.
class Tap {
  public:
    /// What is read at a time in a direction: at first, and at most where much is sent; bytes.
    static constexpr std::size_t first_buffer = 16 * 1024;
    static constexpr std::size_t largest_buffer = 256 * 1024;

    /// Listens on a Unix socket at `path` if the server is on one, else on a port of 127.0.0.1. The observer
    /// has to live as long as the tap. Throws std::system_error.
    Tap(const Address& server, const std::filesystem::path& path, TapObserver& observer);
    /// Takes connections of this socket instead, of whatever kind it is.
    Tap(const Address& server, Listener listener, TapObserver& observer);
    /// Like `stop`.
    ~Tap();
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    /// Where clients connect.
    [[nodiscard]] const Address& address() const;

    /// Connections from now on are for a server at this address, of the same family.
    void forward_to(const Address& server);

    /// Waits until both directions of every connection have ended. False if that is not so by the deadline.
    bool wait_idle(std::chrono::steady_clock::time_point deadline);

    /// Closes everything. No call to the observer comes after this.
    void stop();

  private:
    class Engine;
    std::unique_ptr<Engine> engine_;
};

} // namespace harness
