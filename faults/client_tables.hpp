#pragma once

// The faults of clients, in files of their own.

#include "faults/tables.hpp"

namespace faults {

// What they send wrongly.
[[nodiscard]] Table client_handshake_faults();
[[nodiscard]] Table client_option_faults();
[[nodiscard]] Table client_tls_faults();
[[nodiscard]] Table client_unoffered_faults();
[[nodiscard]] Table client_leaving_faults();

// What they accept, although they must not.
[[nodiscard]] Table client_credulous_handshake_faults();
[[nodiscard]] Table client_credulous_reply_faults();
[[nodiscard]] Table client_credulous_content_faults();

// What they do not bear, although they must.
[[nodiscard]] Table client_intolerant_faults();
[[nodiscard]] Table client_fastidious_faults();
[[nodiscard]] Table client_misreading_faults();

// What they rely on, and break down without.
[[nodiscard]] Table client_fragile_faults();
// How they misread URIs.
[[nodiscard]] Table client_uri_faults();

// How they do without what everybody has to have.
[[nodiscard]] Table client_baseline_faults();

/// Enters by NBD_OPT_EXPORT_NAME where the client means to enter by NBD_OPT_GO.
[[nodiscard]] Recipe enters_by_name();

} // namespace faults
