#pragma once

#include "harness/process/fd.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <sys/types.h>

namespace harness {

/// A tiny process beside the runner that cleans up should the runner be killed or crash: it waits for
/// the end of its connection to the runner, kills every process that carries the run's mark (marker.hpp),
/// removes the directories that it was told of, and ends.
///
/// Should the janitor itself be killed, the run goes on and only loses this safety net. It has a session of
/// its own, keeps no descriptor of the runner's open, ignores the signals by which runs are ended, and bears
/// another name ("nbdi-janitor"), so that ending the runner by its name does not end it too.
class Janitor {
  public:
    /// Starts the janitor. Once in a program, and before its first thread. Throws std::system_error.
    static Janitor start();

    Janitor(Janitor&&) noexcept;
    Janitor& operator=(Janitor&&) = delete;
    /// finish(), with its findings ignored.
    ~Janitor();

    /// What had to be cleaned up at the end of a run that should have done so itself.
    struct Leftovers {
        std::size_t processes = 0;
        std::size_t directories = 0;
        bool clean = true; ///< nothing is left any more
        [[nodiscard]] bool none() const { return clean && processes == 0 && directories == 0; }
    };

    /// The normal end: call it once all processes and workspaces are gone. Looks for leftovers, cleans them
    /// up, and ends the janitor. Does all of that itself if the janitor is no more.
    Leftovers finish();

    [[nodiscard]] pid_t pid() const { return pid_; }

    /// Tells the janitor, if one was started, of a directory to remove. Thread safe.
    static void watch(const std::filesystem::path& directory) noexcept;
    /// Takes that back: the directory is gone.
    static void unwatch(const std::filesystem::path& directory) noexcept;

  private:
    Janitor(pid_t pid, UniqueFd connection);
    pid_t pid_ = -1;
    UniqueFd connection_;
};

} // namespace harness
