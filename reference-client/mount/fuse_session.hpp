#pragma once

// A FUSE file system whose root is one regular file.

#include "reference-client/mount/export_file.hpp"
#include "reference-client/mount/mount_point.hpp"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct fuse_buf;
struct fuse_session;

namespace refclient::mount {

/// Mounts a file and answers what the kernel asks of it. Nothing of the content is cached by the kernel, so
/// that what others do to the export is seen at once.
class FuseSession {
  public:
    /// Mounts. `source` is what is shown as the file system's origin. Throws CannotMount.
    FuseSession(ExportFile& file, const MountPoint& point, const std::string& source, bool allow_other);
    /// Unmounts, also while the file is in use.
    ~FuseSession();
    FuseSession(const FuseSession&) = delete;
    FuseSession& operator=(const FuseSession&) = delete;

    /// Serves until it is unmounted, or the descriptor becomes readable.
    void serve(int until_readable);
    /// True once somebody has unmounted it.
    [[nodiscard]] bool unmounted() const;
    /// Somebody has the file open.
    [[nodiscard]] bool in_use() const { return !open_.empty(); }

  private:
    friend struct FuseCalls;
    /// Memory for a request of the kernel, used again when the request is done with.
    struct Buffers;

    void receive();
    [[nodiscard]] struct stat attributes() const;

    ExportFile& file_;
    struct stat status_; ///< but for the length
    std::shared_ptr<Buffers> buffers_;
    std::shared_ptr<fuse_buf> current_; ///< holds the request that is being looked at
    fuse_session* session_ = nullptr;
    std::unordered_map<std::uint64_t, ExportFile::Witness> open_;
    std::uint64_t last_handle_ = 0;
};

} // namespace refclient::mount
