#pragma once

// An export as a file: the process that mounts it (docs/bridge.md), from its start to its end.

#include "harness/catalogue/peer.hpp"
#include "harness/process/process.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace harness {

/// How an export is mounted: words of the suite.
struct Bridge {
    CommandTemplate start; ///< with {uri} and {file}
    std::string ready;     ///< how the line begins that it prints once the file can be used
    int not_here = 0;      ///< the exit status that says that this machine has no mounts for it
};

/// The mount of a case. It is made when it is first needed, and gone with its handle whatever happened.
class MountedExport {
  public:
    /// The file that becomes the export; the program's words go to `logs`.
    MountedExport(const Bridge& bridge, std::filesystem::path file, std::filesystem::path logs,
                  std::filesystem::path programs);
    MountedExport(const MountedExport&) = delete;
    MountedExport& operator=(const MountedExport&) = delete;
    ~MountedExport();

    /// Mounts the export at `uri`, unless it is mounted. Throws PeerTrouble; CannotDo where there is no FUSE.
    void need(const std::string& uri);
    /// Throws PeerTrouble if the program has ended by itself, or does so within `patience`.
    void check(std::chrono::milliseconds patience);
    /// Unmounts; nothing happens if it is not mounted. Throws PeerTrouble if the program does not end well:
    /// it has lost writes, died, or left its mount.
    void stop();

    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

  private:
    [[nodiscard]] bool mounted() const;
    [[noreturn]] void fail(const Exit& exit, const std::string& when);

    const Bridge& bridge_;
    std::filesystem::path file_;
    std::filesystem::path logs_;
    std::filesystem::path programs_;
    std::optional<Process> process_;
};

} // namespace harness
