#pragma once

#include "harness/process/fd.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

namespace harness {

class Process;

/// Where a server listens.
struct UnixAddress {
    std::filesystem::path path;
    bool operator==(const UnixAddress&) const = default;
};
struct TcpAddress {
    std::uint16_t port = 0;
    std::string host = "127.0.0.1"; ///< an IPv4 or IPv6 address, without brackets
    bool operator==(const TcpAddress&) const = default;
};
using Address = std::variant<UnixAddress, TcpAddress>;

/// "unix:/tmp/s", "127.0.0.1:10809", "[::1]:10809".
std::string describe(const Address& address);

/// A listening socket and its address; for Launch::listen_fd.
struct Listener {
    UniqueFd fd;
    Address address;
};

/// The longest path that a Unix socket's address holds, in bytes.
inline constexpr std::size_t longest_socket_path = 107;

/// Listens on a new Unix socket at `path`. The file stays when the socket is closed. Throws
/// std::system_error, among others ENAMETOOLONG beyond longest_socket_path and EADDRINUSE if something is at
/// `path`.
Listener listen_unix(const std::filesystem::path& path);

/// Listens at a TCP address, by default of 127.0.0.1; on a port that the kernel chooses if that of `at` is 0.
/// Throws std::system_error, among others EADDRINUSE, and EADDRNOTAVAIL where the host is none of this
/// machine's.
Listener listen_tcp(const TcpAddress& at = {});

/// A free TCP port of 127.0.0.1 for a server that can only be told a number.
///
/// While this object lives, the port is bound but not listened on, so that the kernel gives it to nobody who
/// does not ask for just this number; a server that sets SO_REUSEADDR, as about all do, can listen on it
/// nevertheless. For one that does not, release() it right before the start; from there to the server's
/// bind() another program may take the port, and the server then fails to start.
class ReservedPort {
  public:
    /// Throws std::system_error.
    ReservedPort();
    [[nodiscard]] std::uint16_t number() const { return number_; }
    void release() { socket_.reset(); }

  private:
    UniqueFd socket_;
    std::uint16_t number_ = 0;
};

/// How to find out whether a server is there.
enum class Probe {
    connect,   ///< connect and close: certain, but the server sees a client come and go
    listening, ///< look into the kernel's tables: for servers that serve one client only and then end
};

/// Does something accept connections at `address` now? Throws std::system_error if that cannot be found out.
bool accepts(const Address& address, Probe probe = Probe::connect);

enum class Readiness {
    ready,     ///< something accepts
    exited,    ///< the process ended first
    timed_out, ///< nothing accepts, and the deadline has passed
};

/// Waits until something accepts at `address`. Looks after 1 ms, then at intervals that grow to 20 ms. Ends
/// early if `server`, if any is given, ends. Throws Interrupted.
Readiness wait_until_accepting(const Address& address, std::chrono::steady_clock::time_point deadline,
                               Process* server = nullptr, Probe probe = Probe::connect);

} // namespace harness
