#pragma once

// A server that the suite was given the command to start, and that it starts again when it has died.

#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/workspace.hpp"
#include "protocol/uri.hpp"

#include <chrono>
#include <cstdint>
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
    /// `command` may hold {control}, where a server is to take lines "resize EXPORT BYTES", as the reference
    /// server does, and {socket} or {port}, where it is to listen. Without them it listens at `uri`
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
    /// True if its command has {control}: it can be told to change the size of an export.
    [[nodiscard]] bool can_resize() const { return !control_.socket.empty(); }
    /// Changes the size of an export to so many bytes behind the back of its clients. Returns what is wrong;
    /// empty if it has done so.
    [[nodiscard]] std::string resize(const std::string& export_name, std::uint64_t bytes,
                                     std::chrono::milliseconds patience);
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
    nbd::Uri control_; ///< the Unix socket that stands for {control}; without a path if there is none
    Listening listening_ = Listening::by_itself;
    std::filesystem::path folder_;
    std::unique_ptr<Process> process_;
};

} // namespace harness::check
