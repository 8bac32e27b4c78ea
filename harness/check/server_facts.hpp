#pragma once

// What is known of a server before its cases run: learnt by connecting to it, once in each style of replies.

#include "harness/check/exchange.hpp"
#include "protocol/resize.hpp"
#include "protocol/uri.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace harness::check {

/// The export as the handshake describes it to a client that negotiated some style of replies.
struct ExportFacts {
    std::uint64_t size = 0; ///< bytes
    std::uint16_t flags = 0;
    std::optional<nbd::InfoBlockSize> block;
    std::optional<nbd::InfoResize> resize;
    bool allocation = false; ///< base:allocation can be selected
};

/// What the user lets cases do.
struct Permissions {
    bool writable = false;     ///< the content of the export may be changed
    bool size_changes = false; ///< its size may be changed
};

/// A server, its export, and what may be done to it.
struct ServerFacts {
    nbd::Uri uri;
    Permissions permissions;
    Greeting greeting;
    std::string no_greeting; ///< why no greeting came; empty if one did
    std::map<nbd::Option, std::optional<nbd::OptionReplyType>> answers; ///< how options are answered
    /// Tells the server to shut down, as its administrator would; empty where the suite has not started it.
    std::function<void()> shut_down;
    /// Changes the size of the export to so many bytes as if by itself, and returns what is wrong; empty
    /// where the suite has no means to do that.
    std::function<std::string(std::uint64_t)> resize_outside;
    bool lets_in_unasked = false;                      ///< also who does not ask for block sizes
    bool refuses_names = false;                        ///< not every name leads to an export
    bool hides_names = false;                          ///< unknown names are refused for want of TLS
    std::array<std::optional<ExportFacts>, 3> exports; ///< by style
    std::array<std::string, 3> no_export;              ///< by style: why there is none

    /// The facts of the richest style that the server has; null if it lets nobody in.
    [[nodiscard]] const ExportFacts* any_export() const;
    [[nodiscard]] const std::optional<ExportFacts>& in(Style style) const {
        return exports[static_cast<std::size_t>(style)];
    }
    [[nodiscard]] bool newstyle() const { return greeting.newstyle; }
    [[nodiscard]] bool fixed() const {
        return newstyle() && (greeting.handshake_flags & nbd::handshake_flag::fixed_newstyle) != 0;
    }
    [[nodiscard]] bool no_zeroes() const {
        return (greeting.handshake_flags & nbd::handshake_flag::no_zeroes) != 0;
    }
    /// True if the option was answered by something else than NBD_REP_ERR_UNSUP, NBD_REP_ERR_POLICY and the
    /// like.
    [[nodiscard]] bool takes(nbd::Option option) const;
    /// True if NBD_OPT_STARTTLS is acknowledged.
    [[nodiscard]] bool offers_tls() const;
    /// True if options are refused until TLS is there.
    [[nodiscard]] bool demands_tls() const;
    /// True if the export is refused until TLS is there, and not everything is.
    [[nodiscard]] bool wants_tls_for_export() const;
};

/// A word of `needs` in a case, and what it means.
struct NeedWord {
    std::string_view word;
    std::string_view meaning; ///< for the reason of `unsupported`: "NBD_FLAG_SEND_TRIM is set"
    /// `exported` is null where the server lets nobody in.
    bool (*holds)(const ServerFacts& server, const ExportFacts* exported);
};

[[nodiscard]] const std::vector<NeedWord>& need_words();

/// The server could not be connected to. what() says why.
struct NoServer : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Connects to the server and looks at it. `patience` is for each answer. Throws NoServer where it takes no
/// connection; Interrupted.
[[nodiscard]] ServerFacts probe_server(const nbd::Uri& uri, Permissions permissions,
                                       std::chrono::milliseconds patience);

} // namespace harness::check
