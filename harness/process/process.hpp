#pragma once

#include "harness/process/errors.hpp"
#include "harness/process/launch.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace harness {

/// A child process: started, talked to, waited for, and gone with its handle.
///
/// The child leads a process group of its own. It is reaped no earlier than in stop() or the destructor, so
/// that its pid and its group keep meaning it and no other. Its output is read in the background, whoever
/// waits for what. For one thread at a time; different objects are independent. Waits throw Interrupted as
/// soon as the user ends the run (interrupt.hpp); stop() does not, it hurries.
class Process {
  public:
    using Clock = std::chrono::steady_clock;

    /// Starts a program and returns once it runs. Thread safe. Throws LaunchError; Interrupted.
    static Process start(const Launch& launch);

    Process(Process&&) noexcept;
    Process& operator=(Process&&) noexcept;
    /// Kills what is left of the process group, without grace, and reaps.
    ~Process();

    [[nodiscard]] pid_t pid() const;
    /// The program's name and pid for messages, such as "nbdkit (pid 4711)".
    [[nodiscard]] const std::string& name() const;
    /// Readable once the child has ended: for poll().
    [[nodiscard]] int exit_descriptor() const;

    /// Does it still run? Does not wait.
    bool running();
    /// How it ended; nothing if it still runs after `limit`. All output it wrote is then there.
    std::optional<Exit> wait_for(std::chrono::milliseconds limit);
    /// Asks the group to end (SIGTERM), kills it after `grace` if its leader still runs, kills what the
    /// leader left behind in the group, and reaps. If the child had ended before, tells how. Never throws
    /// Interrupted; once the run is interrupted, 200 ms of grace have to do.
    Exit stop(std::chrono::milliseconds grace);
    /// Sends a signal to the child only; nothing happens if it has ended.
    void kill(int signal);
    /// Sends a signal to the child's process group.
    void kill_group(int signal);

    /// Writes `line` and a newline to the child's standard input (Launch::pipe_stdin). Throws PeerGone if
    /// the child no longer reads, TimedOut if it did not make room within `limit`.
    void write_line(std::string_view line, std::chrono::milliseconds limit = std::chrono::seconds(10));
    void close_stdin();

    /// The next line of captured output, without its newline; at the end of the output the unfinished last
    /// line, then nothing. The output ends with the child: what its descendants might still write is not
    /// waited for. Throws TimedOut at the deadline, OutputOverflow.
    std::optional<std::string> read_line(Clock::time_point deadline);
    /// Captured output up to and including the next `marker`, such as an interactive program's prompt;
    /// nothing if the output ends without it, which leaves it for take_output(). Throws as read_line().
    std::optional<std::string> read_until(std::string_view marker, Clock::time_point deadline);
    /// The captured output so far that was not yet taken. Throws OutputOverflow.
    std::string take_output();

    /// The last bytes, at most `max`, that this child wrote to its log. Empty without a log.
    [[nodiscard]] std::string error_tail(std::size_t max) const;

  private:
    class Impl;
    explicit Process(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace harness
