#include "harness/peers/server_pool.hpp"

#include "harness/process/process.hpp"
#include "harness/process/workspace.hpp"

namespace harness {

ServerPool::ServerPool(Workspace& workspace, std::filesystem::path programs)
  : workspace_(workspace)
  , programs_(std::move(programs)) {}

ServerPool::~ServerPool() {
    for (auto& [key, servers] : idle_) {
        for (const std::unique_ptr<ServerInstance>& server : servers) {
            server->stop();
        }
    }
}

std::unique_ptr<ServerInstance> ServerPool::take(const Peer& peer, const ServerVariant& variant,
                                                 bool read_only) {
    {
        const std::scoped_lock lock(mutex_);
        auto& idle = idle_[{&variant, read_only}];
        while (!idle.empty()) {
            std::unique_ptr<ServerInstance> server = std::move(idle.back());
            idle.pop_back();
            if (server->running()) {
                return server;
            }
        }
    }
    return std::make_unique<ServerInstance>(peer, variant, read_only,
                                            ServerPlace{workspace_.make_folder("s"), programs_});
}

void ServerPool::give_back(std::unique_ptr<ServerInstance> server, const ServerVariant& variant,
                           bool healthy) {
    if (healthy && variant.reuse && server->running()) {
        const std::scoped_lock lock(mutex_);
        idle_[{&variant, server->read_only()}].push_back(std::move(server));
        return;
    }
    const std::filesystem::path folder = server->scratch();
    server.reset();
    workspace_.remove_folder(folder);
}

} // namespace harness
