#pragma once

#include <stdexcept>
#include <string>

namespace harness {

/// Base of what can go wrong with a child process or with its streams.
struct ProcessError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A program could not be started. what() names the program and what to do.
class LaunchError : public ProcessError {
  public:
    enum class Reason {
        not_found,      ///< no such program, or none of that name in PATH
        not_executable, ///< it is there, but cannot be executed (permission, format, missing interpreter)
        bad_directory,  ///< the working directory does not exist or cannot be entered
        bad_log,        ///< the log cannot be opened for writing
        resources,      ///< out of processes, descriptors or memory
        other,
    };
    LaunchError(Reason reason, const std::string& message)
      : ProcessError(message)
      , reason_(reason) {}
    [[nodiscard]] Reason reason() const { return reason_; }

  private:
    Reason reason_;
};

/// A deadline passed before what was waited for happened.
struct TimedOut : ProcessError {
    using ProcessError::ProcessError;
};

/// The child closed its standard input, or ended, while something was written to it.
struct PeerGone : ProcessError {
    using ProcessError::ProcessError;
};

/// The child wrote more to its captured standard output than Launch::output_limit allows.
struct OutputOverflow : ProcessError {
    using ProcessError::ProcessError;
};

/// The user asked the run to end (see interrupt.hpp). Deliberately no ProcessError: it is nothing that
/// a peer did, and code that turns a peer's errors into verdicts must let it pass.
struct Interrupted : std::runtime_error {
    Interrupted()
      : std::runtime_error("interrupted") {}
};

} // namespace harness
