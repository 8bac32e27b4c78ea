#pragma once

// The process that has a stack's disk open: qemu-io itself, or a daemon that exports the disk again.

#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/client.hpp"
#include "harness/peers/shell_client.hpp"
#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/stacks/suite.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace harness {

/// Where the export is, and how it is to be seen.
struct DiskPlace {
    std::string place;          ///< a URI, or a file
    std::filesystem::path file; ///< empty if it is none
    Address server;
    std::string export_name;
    std::string format;           ///< "raw" or "qcow2"
    std::filesystem::path socket; ///< where a daemon may listen
    std::filesystem::path logs;
    std::filesystem::path programs; ///< the project's own
};

/// One process, from its start to its end. All functions throw as Client::perform does.
class DiskProcess {
  public:
    DiskProcess(const StackClient& client, DiskPlace place);
    DiskProcess(const DiskProcess&) = delete;
    DiskProcess& operator=(const DiskProcess&) = delete;
    ~DiskProcess();

    /// Starts it and opens the disk.
    ClientOutcome open(Deadline deadline);
    /// Reads, writes and the like.
    ClientOutcome perform(const ClientStep& step, Deadline deadline);
    /// snapshot, bitmap, resize; `values` has {name} and {to}. Throws CannotDo.
    ClientOutcome command(ActionKind kind, Placeholders values, Deadline deadline);
    /// Closes the disk and ends it.
    ClientOutcome close(Deadline deadline);

  private:
    ClientOutcome connect(Deadline deadline);
    ClientOutcome send_all(const std::vector<std::string>& commands, const Placeholders& values,
                           Deadline deadline);
    std::optional<ClientError> send(const std::string& line, Deadline deadline);
    void wait_for_event(const std::string& event, Deadline deadline);
    std::string next_line(Deadline deadline);
    void look_after_daemon();
    void note(const std::string& line) const;

    const StackClient& client_;
    DiskPlace place_;
    Placeholders values_;
    std::set<std::string> events_; ///< that the daemon told since the last command was sent
    std::optional<Process> daemon_;
    std::unique_ptr<ShellClient> io_;
};

} // namespace harness
