#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/catalogue/scenario.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/socket.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace harness {

class Process;

/// Where a server's files are.
struct ServerPlace {
    std::filesystem::path
        scratch; ///< short-lived: socket, image, configuration; a short path, for the socket's sake
    std::filesystem::path programs; ///< the project's own programs, first in PATH
};

/// The server could not be started, or ended before it took a connection.
class ServerFailed : public std::runtime_error {
  public:
    enum class How { no_start, crashed, hangs };
    ServerFailed(How how, const std::string& what)
      : std::runtime_error(what)
      , how_(how) {}
    [[nodiscard]] How how() const { return how_; }

  private:
    How how_;
};

/// A server of one case, from its image to its end.
class ServerInstance {
  public:
    ServerInstance(const Peer& peer, const ServerVariant& variant, bool read_only, ServerPlace place);
    ServerInstance(const ServerInstance&) = delete;
    ServerInstance& operator=(const ServerInstance&) = delete;
    ~ServerInstance();

    /// Makes the image anew. A server that runs already has to be one that can be reused.
    void prepare(const ExportSetup& setup);

    /// Starts the server and waits until it takes connections; its output goes to `logs`. Throws
    /// ServerFailed, LaunchError.
    void start(const std::filesystem::path& logs, std::chrono::steady_clock::time_point deadline);

    /// The URI of an export; without a name the server's own.
    [[nodiscard]] std::string uri(const std::optional<std::string>& export_name = std::nullopt) const;
    /// Likewise, for somebody who reaches the server by way of `through`.
    [[nodiscard]] std::string uri(const std::optional<std::string>& export_name,
                                  const Address& through) const;
    /// Where it listens.
    [[nodiscard]] Address address() const;

    /// The file behind the export; empty for a server in memory.
    [[nodiscard]] const std::filesystem::path& image() const { return image_; }

    /// The name of the export.
    [[nodiscard]] const std::string& export_name() const { return variant_.export_name; }

    /// Kills it with SIGKILL and waits for its end.
    void kill();

    /// How it ended, if it has ended by itself or does so within `patience`.
    [[nodiscard]] std::optional<Exit>
    ended(std::chrono::milliseconds patience = std::chrono::milliseconds(0));

    /// Asks it to end with SIGTERM, insists with SIGKILL. How it ended.
    Exit stop();

    /// The last of its output, for messages.
    [[nodiscard]] std::string last_words() const;

    [[nodiscard]] bool running();

    [[nodiscard]] bool read_only() const { return read_only_; }

    /// Its folder.
    [[nodiscard]] const std::filesystem::path& scratch() const { return place_.scratch; }

  private:
    void wait_until_ready(const Address& address, std::chrono::steady_clock::time_point deadline,
                          Process& process, const std::string& name) const;

    const Peer& peer_;
    const ServerVariant& variant_;
    bool read_only_;
    std::uint64_t size_ = 0;
    ServerPlace place_;
    std::filesystem::path image_;
    std::filesystem::path socket_;
    std::filesystem::path behind_socket_;
    std::string mark_;
    std::uint16_t port_ = 0;
    std::unique_ptr<Process> behind_; ///< what the server needs to run, where there is such a thing
    std::unique_ptr<Process> process_;
};

} // namespace harness
