#pragma once

#include "harness/peers/server_instance.hpp"
#include "harness/run/wire_record.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace harness {

/// The server of a case with the wire judge before it, which stays when the server is started again. It can
/// be one that runs already.
class JudgedServer {
  public:
    /// The tap listens in `scratch`; `title` is the case's. Not `judged`: clients connect to the server
    /// itself.
    JudgedServer(ServerInstance& server, std::filesystem::path scratch, std::filesystem::path logs,
                 const std::string& title, bool judged);

    /// Starts it, unless it runs. Throws PeerTrouble, LaunchError.
    void need();
    /// Throws PeerTrouble if it has ended by itself, or does so within `patience`.
    void check(std::chrono::milliseconds patience);
    /// Ends it; nothing happens if it does not run. Throws PeerTrouble if it dies of that.
    void stop();
    /// Kills it.
    void kill();

    /// Waits a moment for the server to close the connections of clients that have left.
    void wait_idle();
    /// A peer is about to be ended: what comes on the connections that are there is not the peers' doing.
    void interfere() { wire_.interfere(); }

    /// Where clients connect.
    [[nodiscard]] Address address() const;
    /// The URI of an export, without a name of the server's own, as clients have it.
    [[nodiscard]] std::string uri(const std::optional<std::string>& export_name = std::nullopt) const;

    /// What the judge knows at the end. No connection is made after this.
    [[nodiscard]] const WireRecord& record();

  private:
    ServerInstance& server_;
    std::filesystem::path scratch_;
    std::filesystem::path logs_;
    bool judged_;
    WireRecord wire_;
    std::unique_ptr<Tap> tap_;
};

} // namespace harness
