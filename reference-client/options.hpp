#pragma once

// How a client wants to talk to a server.

#include "faults/catalogue.hpp"
#include "protocol/numbers.hpp"
#include "reference-client/faults.hpp"
#include "reference-client/fragility.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace refclient {

/// The kinds of replies, each better than the one before. A client asks for one and takes what it gets.
enum class Replies { simple, structured, extended };

/// Which way a message went.
enum class Direction { sent, received };

/// Called with every message, its fields by name.
using Trace = std::function<void(Direction, std::string_view)>;

/// How to open a connection and what to make sure of on it.
struct Options {
    /// The best kind of replies to ask for; a server without them makes the client fall back.
    Replies replies = Replies::extended;
    /// Set NBD_FLAG_C_FIXED_NEWSTYLE if the server has it. Without it no option but NBD_OPT_EXPORT_NAME may
    /// be used.
    bool fixed_newstyle = true;
    /// Set NBD_FLAG_C_NO_ZEROES if the server has it.
    bool no_zeroes = true;
    /// Ask for TLS before anything else and go on without it where the server refuses, unless the URI demands
    /// it. Where it agrees, the handshake of TLS fails: this client does not have TLS.
    bool ask_tls = false;
    /// Enter the transmission phase by NBD_OPT_EXPORT_NAME, as clients did before NBD_OPT_GO. Rules out
    /// extended headers.
    bool use_export_name = false;
    /// Ask for NBD_INFO_BLOCK_SIZE, which is a promise to keep to what the server answers.
    bool request_block_size = true;
    /// List NBD_INFO_RESIZE in NBD_OPT_INFO and NBD_OPT_GO, which tells a server of the experimental RESIZE
    /// extension that this client knows it.
    bool ask_resize = false;
    /// Notifications of a subscription that are borne in a second; a server that sends more is left
    /// (RZ-NOTE-7). 0 is no bound.
    std::uint32_t max_notifications_per_second = 1000;
    /// Metadata contexts to select; none: NBD_OPT_SET_META_CONTEXT is not sent.
    std::vector<std::string> contexts = {std::string(nbd::base_allocation)};
    /// Also list the metadata contexts that the server has for the export.
    bool list_contexts = false;
    /// The cookie of the first request of a connection; each has the next one. Not 0.
    std::uint64_t first_cookie = 1;
    /// Refuse requests that a client must not send: past the end, read-only, not offered, not aligned, too
    /// large. Off: send them, so that the server can show what it does.
    bool strict = true;
    /// Connections to open where the server promises NBD_FLAG_CAN_MULTI_CONN; 1 or more.
    unsigned connections = 1;
    /// The longest time for connecting and shaking hands, and the longest time that a wait goes on without a
    /// byte moving.
    std::chrono::milliseconds timeout = std::chrono::seconds(30);
    /// Called with every message, if set.
    Trace trace;
    /// Rules of the RESIZE draft to break on purpose.
    Faults faults;
    /// On what to break down on purpose; null for nothing.
    const Fragility* fragility = nullptr;
    /// A rule of the base protocol to break on purpose; null for none.
    const ::faults::Fault* wire_fault = nullptr;
};

} // namespace refclient
