#include "reference-client/mount/mount_point.hpp"

#include "reference-client/mount/mount.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace refclient::mount {
namespace {

[[noreturn]] void unusable(const std::string& path, int code, const std::string& why) {
    throw CannotMount(MountFault::bad_file, code, fmt::format("cannot mount over {}: {}", path, why));
}

/// True if the file is the root of a mount already.
bool is_mounted_on(const std::string& path) {
    struct statx status {};
    return ::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes_mask & status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

} // namespace

MountPoint::MountPoint(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 && errno == ENOENT) {
        const int created = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (created < 0) {
            unusable(path, errno, fmt::format("cannot create it: {}", std::strerror(errno)));
        }
        ::close(created);
        created_ = true;
    }
    try {
        examine(path);
    } catch (const Failure&) {
        if (created_) {
            ::unlink(path.c_str());
        }
        throw;
    }
}

void MountPoint::examine(const std::string& path) {
    if (::stat(path.c_str(), &below_) != 0) {
        const int code = errno;
        unusable(path, code,
                 code == ENOTCONN
                     ? fmt::format("what was mounted there has died; `umount -l {}` removes it", path)
                     : std::strerror(code));
    }
    if (S_ISDIR(below_.st_mode)) {
        unusable(path, EISDIR, "it is a directory, and an export is a file");
    }
    if (!S_ISREG(below_.st_mode)) {
        unusable(path, EINVAL, "it is no regular file");
    }
    if (is_mounted_on(path)) {
        unusable(path, EBUSY, "something is mounted there already");
    }
    std::error_code failed;
    path_ = std::filesystem::canonical(path, failed).string();
    if (failed) {
        unusable(path, failed.value(), failed.message());
    }
}

MountPoint::~MountPoint() {
    if (created_) {
        ::unlink(path_.c_str());
    }
}

} // namespace refclient::mount
