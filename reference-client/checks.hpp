#pragma once

// What a client must not send (Transmission flags, Command flags, Size constraints).

#include "reference-client/export_info.hpp"
#include "reference-client/operation.hpp"

namespace refclient {

/// Throws Failure (local) if a client must not send this to this export: past the end, writing to a read-only
/// export, a command or flag that the server does not offer, not aligned, too large a payload, no length.
/// `size` is that of the export as far as it is known, in bytes.
void check_allowed(const ExportInfo& info, std::uint64_t size, const Operation& operation);

} // namespace refclient
