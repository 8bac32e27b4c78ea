#pragma once

#include "reference-server/net/descriptor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace refserver {

/// A socket that accepts connections.
struct Listener {
    Descriptor socket;
    std::string uri;       ///< how clients get here; without the export name
    std::string unix_path; ///< to be removed at the end; empty if there is none
};

/// Listens on a Unix socket. A socket that a dead server left behind is replaced. Throws std::system_error.
[[nodiscard]] Listener listen_unix(const std::string& path);

/// Listens on all addresses of `host`; port 0 stands for any free one. Throws std::system_error.
[[nodiscard]] std::vector<Listener> listen_tcp(const std::string& host, std::uint16_t port);

/// The listening sockets that the service manager passed (LISTEN_PID, LISTEN_FDS); none if it did not start
/// this process. Takes the variables out of the environment. Throws std::system_error if what was passed are
/// not listening sockets.
[[nodiscard]] std::vector<Listener> activated_sockets();

} // namespace refserver
