#pragma once

// The switches of libnbd that make variants of it.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace driver {

/// How the driver makes an export longer (live resize).
enum class GrowBy {
    none, ///< not at all
    plain ///< by a write past the end
};

/// How it learns that the size has changed.
enum class LearnBy {
    none,     ///< not at all
    reconnect ///< by a second connection
};

/// How every connection of this driver is made.
struct LibnbdOptions {
    bool structured_replies = true; ///< ask for structured replies
    bool extended_headers = true;   ///< ask for extended headers, where this libnbd knows them
    bool meta_context = true;       ///< ask for base:allocation
    bool opt_mode = false;          ///< stop in option haggling: NBD_OPT_INFO, then NBD_OPT_GO
    bool strict = true;             ///< let libnbd refuse requests that break the protocol's rules
    std::optional<std::uint32_t>
        handshake_flags;        ///< at most these of the server's handshake flags are answered
    GrowBy grow = GrowBy::none; ///< `plain` lets requests past the end through, whatever `strict` says
    LearnBy learn = LearnBy::none;
    unsigned connections = 1; ///< per `connect`, if the server promises multi-conn
    /// How long a server may keep silent while something is expected of it.
    std::chrono::milliseconds patience{60'000};
    /// A server to start by socket activation for each connection, "{uri}" standing for the step's URI; empty
    /// to connect to the URI itself.
    std::vector<std::string> through;
};

} // namespace driver
