#pragma once

// Lets a client meet a server once, and looks on.

#include "harness/check/client_case.hpp"
#include "harness/check/client_uri.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/workspace.hpp"
#include "harness/run/wire_record.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace harness::check {

/// The client under test as it is started. Words may have {uri}, {socket}, {port}, {export}, {file}, a file
/// that the client may write, and {input}, a file as large as the export with other bytes in it.
struct ClientCommand {
    std::vector<std::string> argv;
    std::chrono::milliseconds limit{5000};               ///< to end by itself
    std::uint64_t memory_limit = std::uint64_t{1} << 30; ///< resident, with its children; bytes

    /// True if it wants a TCP port rather than a Unix socket.
    [[nodiscard]] bool tcp() const;
    /// True if it takes the server's URI.
    [[nodiscard]] bool has_uri() const;
    /// True if it says where the server is.
    [[nodiscard]] bool has_address() const;
    /// True if it says which export it wants; if not, it gets the default one.
    [[nodiscard]] bool names_export() const;
};

/// What a client did when it met a server.
struct ClientRun {
    Exit exit;
    bool timed_out = false;   ///< it did not end by itself; `exit` says nothing then
    bool grew = false;        ///< it used more memory than it may; likewise
    std::uint64_t memory = 0; ///< the most that was seen; bytes
    std::string output;       ///< standard output; places of the case are left out
    std::string file;         ///< what stands for the content of {file}; empty if there is none
    bool output_cut = false;  ///< there was more of it than is kept
    std::string errors;       ///< the end of its standard error; likewise
    std::string disk;         ///< what stands for the content of the disk afterwards; empty if unknown
    double seconds = 0;       ///< from its start to its end
    std::map<std::string, std::size_t> asked; ///< options and commands that it sent, how often each
    std::size_t connections = 0;
    std::size_t at_once = 0;           ///< connections that were used for requests at the same time, at most
    std::set<std::string> entered;     ///< the names of the exports that it entered
    std::vector<WireFinding> findings; ///< of both sides, in the order of their first times
    std::vector<std::string> not_judged;
    bool at_work = false; ///< the server's fault or oddity has changed something on the wire

    /// True if it ended by itself and reported success.
    [[nodiscard]] bool success() const { return !timed_out && !grew && exit.success(); }
    /// The signal that ended it, also where a shell tells so by its exit code; 0 if none did.
    [[nodiscard]] int signal() const;
    /// "exited with 1", "was killed by SIGSEGV", "did not end within 5 s".
    [[nodiscard]] std::string describe(const ClientCommand& command) const;
};

/// The reference server did not do what it is there for. Says nothing about the client.
struct BenchError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Starts servers and clients. Thread safe.
class ClientBench {
  public:
    /// `programs`: where nbd-resize-server is. The workspace has to live as long as the bench.
    ClientBench(ClientCommand command, std::filesystem::path programs, Workspace& workspace);

    /// Lets the client meet the server. The logs go to `logs`, which must be there: wire.transcript,
    /// client.log, server.log. Throws BenchError, CannotListen, LaunchError, Interrupted.
    /// `uri`: what the client is given instead of the plain one, unless it is empty. `limit`: another one for
    /// the client than its command has.
    [[nodiscard]] ClientRun meet(const ClientServer& server, const ClientUri& uri, const std::string& title,
                                 const std::filesystem::path& logs,
                                 std::optional<std::chrono::milliseconds> limit = std::nullopt) const;

    [[nodiscard]] const ClientCommand& command() const { return command_; }

  private:
    ClientCommand command_;
    std::filesystem::path programs_;
    Workspace& workspace_;
};

} // namespace harness::check
