#pragma once

// A connected stream socket.

#include "protocol/codec.hpp"
#include "protocol/uri.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

struct iovec;

namespace refclient {

using Clock = std::chrono::steady_clock;

/// Owns a socket. Functions throw Failure (connection).
class Socket {
  public:
    /// Connects to the server of a URI, until the deadline.
    [[nodiscard]] static Socket connect(const nbd::Uri& uri, Clock::time_point deadline);

    /// Takes over a socket.
    explicit Socket(int descriptor);
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    ~Socket();

    /// Bytes received into the parts, 0 at the end of the stream, nothing if none are there yet.
    [[nodiscard]] std::optional<std::size_t> receive(std::span<iovec> parts);
    /// The same, but nothing only if none come for the time that `set_patience` set.
    [[nodiscard]] std::optional<std::size_t> receive_waiting(std::span<iovec> parts);
    /// How long to wait for bytes.
    void set_patience(std::chrono::milliseconds patience);
    /// Bytes of the parts that were sent, nothing if none can be sent now.
    [[nodiscard]] std::optional<std::size_t> send(std::span<iovec> parts);

    /// Tells the other side that nothing more comes; receiving goes on.
    void finish_sending();
    void close();
    /// Leaves the descriptor to the caller.
    [[nodiscard]] int release();
    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
    [[nodiscard]] int descriptor() const { return descriptor_; }

  private:
    [[nodiscard]] std::optional<std::size_t> receive(std::span<iovec> parts, int flags);

    int descriptor_ = -1;
};

/// "HOST:PORT" or the path of the Unix socket, for messages.
[[nodiscard]] std::string address_text(const nbd::Uri& uri);

/// Milliseconds until a deadline as poll(2) takes them, rounded up; 0 if it has passed.
[[nodiscard]] int poll_timeout(Clock::time_point deadline);

} // namespace refclient
