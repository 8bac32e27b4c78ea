#pragma once

// The file that an export is mounted over.

#include <string>
#include <sys/stat.h>

namespace refclient::mount {

/// A regular file that nothing is mounted on. One that had to be created is removed again.
class MountPoint {
  public:
    /// Throws CannotMount.
    explicit MountPoint(const std::string& path);
    ~MountPoint();
    MountPoint(const MountPoint&) = delete;
    MountPoint& operator=(const MountPoint&) = delete;

    /// Absolute, so that it stays the same wherever a program goes.
    [[nodiscard]] const std::string& path() const { return path_; }
    /// What is below the mount: its owner and mode.
    [[nodiscard]] const struct stat& below() const { return below_; }

  private:
    void examine(const std::string& path);

    std::string path_;
    bool created_ = false;
    struct stat below_ {};
};

} // namespace refclient::mount
