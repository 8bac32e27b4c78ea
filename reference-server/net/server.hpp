#pragma once

#include "faults/twist.hpp"
#include "reference-server/export.hpp"
#include "reference-server/net/listener.hpp"
#include "reference-server/session/agreement.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

namespace refserver {

/// How a server runs.
struct ServerOptions {
    SessionOptions session;
    unsigned io_threads = 1;                  ///< at least 1
    unsigned workers = 4;                     ///< threads for operations that wait for a disk; at least 1
    std::size_t max_connections = 0;          ///< more wait to be accepted; 0 for no limit
    std::chrono::seconds handshake_limit{60}; ///< for the whole handshake of a connection; 0 for no limit
    std::chrono::seconds shutdown_limit{5};   ///< how long requests in progress may take at the end
    std::vector<faults::Recipe> twists;       ///< stand in every connection; the first meets the client
    bool verbose = false;                     ///< every message is told on standard error
};

/// Accepts connections and serves a catalogue to them until a signal ends it.
class Server {
  public:
    /// Blocks SIGTERM and SIGINT in this thread and those it starts. Throws std::system_error.
    Server(const ServerOptions& options, ExportCatalogue& catalogue, std::vector<Listener> listeners);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Serves until SIGTERM or SIGINT; then finishes what is in progress and removes the Unix sockets.
    void run();

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace refserver
