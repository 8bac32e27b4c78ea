#pragma once

// The reference client with a fault, the reference server with another twist, and between them somebody who
// forwards the bytes and holds them against the specification.

#include "faults/twist.hpp"
#include "protocol/uri.hpp"
#include "reference-client/options.hpp"
#include "reference-client/tests/support/process.hpp"

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace faults::testing {

/// The reference server, one for all tests: 8 GiB of memory.
class Server {
  public:
    Server();
    [[nodiscard]] std::string socket() const { return folder_.file("server"); }

  private:
    refclient::testing::TemporaryFolder folder_;
    refclient::testing::Process process_;
};

/// What a client does: it is given the server and how to talk to it, and gives what came of it, one line for
/// each thing it did. What did not succeed begins with "failed".
using Talk = std::function<std::string(const nbd::Uri&, const refclient::Options&)>;

// The talks. All disconnect at the end.
namespace talk {
std::string enter(const nbd::Uri& uri, const refclient::Options& options);
std::string commands(const nbd::Uri& uri, const refclient::Options& options); ///< one of each that is offered
std::string two_reads(const nbd::Uri& uri, const refclient::Options& options); ///< at the same time
std::string read(const nbd::Uri& uri, const refclient::Options& options);
std::string enter_named(const nbd::Uri& uri, const refclient::Options& options); ///< an export called "x"
std::string large_read(const nbd::Uri& uri, const refclient::Options& options);  ///< 2 MiB
std::string status(const nbd::Uri& uri, const refclient::Options& options);
std::string write(const nbd::Uri& uri, const refclient::Options& options);
std::string trim_and_read(const nbd::Uri& uri, const refclient::Options& options);
std::string information(const nbd::Uri& uri, const refclient::Options& options); ///< by NBD_OPT_INFO
std::string list(const nbd::Uri& uri, const refclient::Options& options);
std::string connections(const nbd::Uri& uri, const refclient::Options& options); ///< four, if that is allowed
} // namespace talk

/// What can be seen of a talk.
struct Seen {
    std::string outcome;              ///< of the talk
    nbd::Buffer sent;                 ///< by the client, on all its connections
    std::size_t connections = 0;      ///< how many there were
    std::set<std::string> broken;     ///< requirements, by the client
    std::vector<std::string> details; ///< the same in words
};

/// Lets a client talk to the server. `twist` is in front of the server, `options` may have a fault.
[[nodiscard]] Seen see(const Server& server, const Recipe& twist, const Talk& talk,
                       const refclient::Options& options);

} // namespace faults::testing
