#pragma once

#include "harness/catalogue/peer.hpp"
#include "harness/peers/server_instance.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace harness {

class Workspace;

/// The servers of a run. Most serve one case; those that can be reused wait here for the next one. Thread
/// safe.
class ServerPool {
  public:
    ServerPool(Workspace& workspace, std::filesystem::path programs);
    ServerPool(const ServerPool&) = delete;
    ServerPool& operator=(const ServerPool&) = delete;
    ~ServerPool();

    /// A server for one case: a fresh one, not yet started, or one that runs already.
    [[nodiscard]] std::unique_ptr<ServerInstance> take(const Peer& peer, const ServerVariant& variant,
                                                       bool read_only);

    /// The case is over. A healthy server that can be reused is kept, any other one ended, and its folder
    /// removed.
    void give_back(std::unique_ptr<ServerInstance> server, const ServerVariant& variant, bool healthy);

  private:
    Workspace& workspace_;
    std::filesystem::path programs_;
    std::mutex mutex_;
    std::map<std::pair<const ServerVariant*, bool>, std::vector<std::unique_ptr<ServerInstance>>> idle_;
};

} // namespace harness
