#pragma once

// How clients ask for TLS, rightly.

#include "faults/twist.hpp"

namespace faults {

/// Sends NBD_OPT_STARTTLS before the client's first option where fixed newstyle is agreed. Where the server
/// refuses it, the client goes on without TLS or, if it `insists`, leaves. Where the server agrees, the
/// handshake of TLS is begun, and the connection is ended at the first thing that the server answers: nobody
/// here speaks TLS (TLS support, Client-side requirements).
[[nodiscard]] Recipe asks_for_tls(bool insists);

} // namespace faults
