#pragma once

// Conversations of several connections with one export, written as text.

#include <optional>
#include <string>

namespace refserver {

/// Plays a script against the export that a name of knobs means, and returns the first line that comes out
/// differently, with what came instead; nothing if all is as written.
///
/// A line is "WHO DO => SEEN". WHO is the name of a connection, or * for somebody outside. DO is one of
///   connect STYLE, ask [info], go [info], name         the handshake: NBD_OPT_INFO, _GO, _EXPORT_NAME
///   open STYLE [info]                                  connect and go
///   plain SIZE | query | notify | cancel COOKIE        NBD_CMD_RESIZE
///   write|zero|trim|cache|read OFFSET LENGTH, flush    with bytes 'x' where there are data
///   disc, end, shutdown                                NBD_CMD_DISC, a half-close, a signal to the server
///   hold, take N, release                              nothing is read any more, N bytes are, everything is
///   resize SIZE (of *)                                 a change of size from outside
///   -                                                  nothing
/// Requests may be followed by fua, extend, nohole, fast, df, query, notify, cancel, off=N, len=N, cookie=N,
/// payload=N. Cookies count from 1 where they are not given.
///
/// SEEN is what the connection received since, separated by "; ": "size=N" for a RESIZE chunk, with its
/// flags, "more" if the reply goes on, and "@COOKIE" if it answers another request than the last one.
[[nodiscard]] std::optional<std::string> play(const std::string& knobs, const std::string& script);

} // namespace refserver
