#pragma once

namespace wire {

/// One of the two programs at the ends of a connection. Of bytes: the one that sent them.
enum class Side { client, server };

/// The one at the other end.
[[nodiscard]] constexpr Side other(Side side) {
    return side == Side::client ? Side::server : Side::client;
}

/// "client", "server".
[[nodiscard]] constexpr const char* name(Side side) {
    return side == Side::client ? "client" : "server";
}

/// How one side ended its direction of a connection.
enum class End {
    closed, ///< an orderly end: whatever was sent before has arrived
    reset,  ///< by force
};

} // namespace wire
