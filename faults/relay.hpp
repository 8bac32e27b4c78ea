#pragma once

// Puts a twist into a connection.

#include "faults/twist.hpp"

namespace faults {

/// Takes over a connected stream socket and returns another one for the program to use in its place: what
/// goes over it goes through a twist of its own. The returned socket blocks if the other one did. `program`
/// is the side that this process is. The work is done by a thread that ends when the connection has, at the
/// latest at the end of the process. Throws std::system_error; the socket is closed then.
[[nodiscard]] int interpose(int socket, const Recipe& recipe, Side program);

} // namespace faults
