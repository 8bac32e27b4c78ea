#pragma once

// A server that the suite was given the command to start, and that it starts again when it has died.

#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/workspace.hpp"
#include "protocol/uri.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace harness::check {

/// The server did not start. what() says why.
struct NotStarted : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A server under a command line of the shell. Functions throw Interrupted.
class StartedServer {
  public:
    /// `command` may hold {socket} or {port}, where the server is to listen. Without them it listens at `uri`
    /// by itself if there is one, else it gets a listening socket as systemd passes one (LISTEN_FDS).
    StartedServer(std::string command, std::optional<nbd::Uri> uri, Workspace& workspace);
    ~StartedServer();
    StartedServer(const StartedServer&) = delete;
    StartedServer& operator=(const StartedServer&) = delete;

    /// Starts it, for the first time or again. Throws NotStarted if it takes no connections in time, or
    /// something else has its place.
    void start(std::chrono::milliseconds patience);
    /// Tells it to shut down (SIGTERM), and does not wait for that.
    void shut_down();
    /// Where it listens.
    [[nodiscard]] const nbd::Uri& uri() const { return uri_; }
    /// How it ended, if it has, or does so within `time`.
    [[nodiscard]] std::optional<Exit> ended(std::chrono::milliseconds time);
    /// The last bytes that it wrote to its standard error.
    [[nodiscard]] std::string last_words() const;

  private:
    void stop();
    [[nodiscard]] bool answers(std::chrono::milliseconds patience) const;

    enum class Listening { by_itself, socket, port, activation };

    std::string command_;
    nbd::Uri uri_;
    Listening listening_ = Listening::by_itself;
    std::filesystem::path folder_;
    std::unique_ptr<Process> process_;
};

} // namespace harness::check
