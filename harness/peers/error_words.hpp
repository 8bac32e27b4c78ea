#pragma once

#include <string>
#include <string_view>

namespace harness {

/// The symbolic name of the error that a program's message speaks of, in the C library's words ("No space
/// left on device" is "ENOSPC") or by its name; "EUNKNOWN" if it names none. The last one in the message
/// counts, since programs put the cause at the end.
[[nodiscard]] std::string error_in(std::string_view message);

/// True for errors that say that there is no connection (any more).
[[nodiscard]] bool is_connection_error(std::string_view name);

} // namespace harness
