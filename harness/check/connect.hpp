#pragma once

#include "harness/process/fd.hpp"
#include "protocol/uri.hpp"

#include <chrono>
#include <string>

namespace harness::check {

/// A connected, non-blocking socket, or why there is none.
struct Connected {
    UniqueFd socket;
    std::string problem; ///< "unix:/tmp/s: Connection refused"; empty if there is a socket
};

/// Connects to the server of a URI, whose backlog may be full for a while. Throws Interrupted.
[[nodiscard]] Connected connect_to(const nbd::Uri& uri, std::chrono::steady_clock::time_point deadline);

/// "HOST:PORT" or the path of the Unix socket, for messages.
[[nodiscard]] std::string server_text(const nbd::Uri& uri);

} // namespace harness::check
