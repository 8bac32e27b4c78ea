#pragma once

// The handshake over a socket.

#include "reference-client/negotiation.hpp"
#include "reference-client/socket.hpp"

namespace refclient {

/// What a handshake leaves behind when it succeeded.
struct Handshaken {
    Socket socket; ///< where the transmission phase goes on, if it was entered
    Negotiation negotiation;
    nbd::Buffer rest; ///< of the transmission phase, what has come already
};

/// Connects to the server of a URI and carries out a handshake within `options.timeout`. Throws Failure.
[[nodiscard]] Handshaken shake_hands(const nbd::Uri& uri, const Options& options, Goal goal);

/// What NBD_OPT_INFO tells about an export, without entering the transmission phase; from a server that is
/// too old for it, by entering and leaving it.
[[nodiscard]] ExportInfo query_info(const nbd::Uri& uri, const Options& options);

/// The exports that NBD_OPT_LIST tells. The URI's export name is ignored.
[[nodiscard]] std::vector<ListedExport> query_list(const nbd::Uri& uri, const Options& options);

} // namespace refclient
