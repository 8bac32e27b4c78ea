#pragma once

// The export of a case's stack: its server, and what shows it as a file in the stacks that have such a thing.

#include "harness/peers/server_instance.hpp"
#include "harness/run/judged_server.hpp"
#include "harness/stacks/mounted_export.hpp"
#include "harness/stacks/suite.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace harness {

/// Where the programs' words and the case's files go.
struct StackFolders {
    std::filesystem::path logs;
    std::filesystem::path scratch; ///< gone after the case
    std::filesystem::path programs;
};

/// The export, from its image to its end. It starts when it is first needed, and again after it was stopped.
class StackExport {
  public:
    StackExport(const StackCase& item, const StackSuite& suite, const StackFolders& folders, bool judged);

    /// Makes the server's image, of a raw one with zeroes of `size` bytes.
    void prepare(std::uint64_t size);
    /// Starts what does not run. Throws PeerTrouble, LaunchError; CannotDo if it cannot be a file here.
    void need();
    /// Throws PeerTrouble if something of it has ended by itself, or does so within `patience`.
    void check(std::chrono::milliseconds patience);
    /// Unmounts, then ends the server; nothing happens to what does not run. Throws PeerTrouble, once both
    /// are gone.
    void stop();

    /// What programs are told: a URI, or the file.
    [[nodiscard]] std::string place() const;
    /// The file; empty if the export is none.
    [[nodiscard]] std::filesystem::path file() const;
    /// Where the server listens.
    [[nodiscard]] Address address() const { return judged_.address(); }
    [[nodiscard]] const std::string& export_name() const { return server_.export_name(); }
    /// What the server serves.
    [[nodiscard]] const std::filesystem::path& image() const { return server_.image(); }
    /// What the wire judge knows. Only after `stop`.
    [[nodiscard]] const WireRecord& record() { return judged_.record(); }

  private:
    ServerInstance server_;
    JudgedServer judged_;
    std::optional<MountedExport> mount_;
};

} // namespace harness
