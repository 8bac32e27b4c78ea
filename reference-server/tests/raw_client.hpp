#pragma once

#include "protocol/codec.hpp"

#include <cstdint>
#include <string>

namespace refserver {

/// A socket that speaks NBD one call at a time, and waits at most a minute for anything.
class RawClient {
  public:
    explicit RawClient(const std::string& unix_path);
    explicit RawClient(std::uint16_t port);
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void send(const nbd::Buffer& bytes) const;
    /// Sends as much as the server takes while nobody reads its replies; returns how much that was.
    [[nodiscard]] std::size_t send_until_blocked(const nbd::Buffer& bytes) const;
    /// Exactly that many bytes; fewer only if the server closed the connection.
    [[nodiscard]] nbd::Buffer receive(std::size_t size) const;
    /// Everything up to the server's close.
    [[nodiscard]] nbd::Buffer receive_all() const;
    void half_close() const;
    /// Closes in such a way that the server's next send fails.
    void reset();

    /// Handshake up to the transmission phase with simple replies; returns the size of the export.
    std::uint64_t enter_transmission(const std::string& name = {}) const;

  private:
    int socket_ = -1;
};

} // namespace refserver
