#pragma once

#include "harness/process/fd.hpp"

#include <sys/types.h>

namespace harness {

/// A descriptor that stands for the process `pid` and becomes readable when it ends; invalid, with errno set,
/// if there is none (ESRCH), if the kernel has no pidfds (ENOSYS, before Linux 5.3), or a sandbox forbids
/// them.
UniqueFd open_pidfd(pid_t pid) noexcept;

/// Sends a signal to the process that a pidfd stands for. False, with errno set, if that failed.
bool signal_pidfd(int pidfd, int signal) noexcept;

/// The same for a child of this process where there are no pidfds: a thread waits for the child, without
/// reaping it, and makes the returned descriptor readable. Throws std::system_error.
UniqueFd watch_with_thread(pid_t pid);

} // namespace harness
