#pragma once

#include <chrono>
#include <span>

struct pollfd;

/// The wish of the user to end the run: Ctrl-C, SIGTERM, SIGHUP. Process-wide.
///
/// The first signal sets a flag and wakes every wait of this room, which then throws Interrupted; the run
/// unwinds, cleans up and can still write its reports. A second one ends the program at once with 128 + the
/// signal's number; what is left of the run is then the janitor's task (see janitor.hpp).
namespace harness::interrupt {

/// Takes over SIGINT, SIGTERM and SIGHUP. A signal that was ignored when the program started (nohup)
/// stays ignored. Calling it again changes nothing. Throws std::system_error.
void install();

/// Has the end been asked for?
bool requested() noexcept;

/// The signal that asked first; 0 if none did.
int signal_number() noexcept;

/// Asks for the end from within the program. Async-signal-safe; `signal` is what signal_number() tells.
void request(int signal) noexcept;

/// Throws Interrupted if the end has been asked for.
void throw_if_requested();

/// Readable from the moment on that the end is asked for, and for ever: for poll(). -1 before install().
int descriptor() noexcept;

/// poll() until one of `fds` is ready (true, revents filled in) or `deadline` has passed (false).
/// Throws Interrupted as soon as the end is asked for, unless `interruptible` is false.
bool poll_until(std::span<pollfd> fds, std::chrono::steady_clock::time_point deadline,
                bool interruptible = true);

} // namespace harness::interrupt
