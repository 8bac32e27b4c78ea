#pragma once

// Mounting an export over a file, for programs that know only files.

#include "protocol/uri.hpp"
#include "reference-client/mount/export_file.hpp"

#include <functional>
#include <string>

namespace refclient::mount {

/// Where and how to mount.
struct MountSettings {
    std::string path;         ///< a regular file; created for as long as it is mounted, if there is none
    bool allow_other = false; ///< other users may use the file, as its mode says
    FilePreferences file;
};

/// Why nothing could be mounted.
enum class MountFault {
    no_fuse,  ///< FUSE is missing, or this user must not use it
    bad_file, ///< what is at the path is nothing to mount over
};

class CannotMount : public Failure {
  public:
    CannotMount(MountFault fault, int code, const std::string& message)
      : Failure(FailureKind::local, code, message)
      , fault_(fault) {}
    [[nodiscard]] MountFault fault() const { return fault_; }

  private:
    MountFault fault_;
};

/// Mounts the export of a URI and serves it until somebody unmounts it or the descriptor becomes readable,
/// calling `ready` once the file can be used. At the end everything is flushed. Throws CannotMount, Failure
/// where the server cannot be used, and Failure at the end where acknowledged writes may be lost and nobody
/// was told.
void serve_mount(const nbd::Uri& uri, const Options& options, const MountSettings& settings,
                 int until_readable, const Log& log, const std::function<void()>& ready);

} // namespace refclient::mount
