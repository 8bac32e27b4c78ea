#include "reference-server/backend/file.hpp"

#include "reference-server/backend/errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace refserver {
namespace {

/// More is left to a worker, so that the other connections of the thread go on meanwhile.
constexpr std::uint64_t largest_inline = std::uint64_t{1} << 20;
/// Smaller reads are not worth asking for holes.
constexpr std::uint64_t smallest_hole_query = std::uint64_t{32} << 10;
/// How many extents one status request tells.
constexpr std::size_t status_extents = 4096;
constexpr std::size_t zero_block = std::size_t{1} << 20;

off_t signed_offset(std::uint64_t offset) {
    return static_cast<off_t>(offset);
}

[[noreturn]] void fail_to_open(int number, const std::string& what) {
    throw std::system_error(number, std::system_category(), what);
}

} // namespace

FileBackend::FileBackend(std::string path, bool read_only)
  : path_(std::move(path))
  , read_only_(read_only) {
    descriptor_ = ::open(path_.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) {
        const int number = errno;
        const bool hint = !read_only && (number == EACCES || number == EROFS || number == EPERM);
        fail_to_open(number, fmt::format("cannot open {}{}{}", path_, read_only ? "" : " for writing",
                                         hint ? " (serve it with --read-only?)" : ""));
    }
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))) {
        ::close(descriptor_);
        fail_to_open(EINVAL, fmt::format("{} is neither a regular file nor a block device", path_));
    }
    block_device_ = S_ISBLK(status.st_mode);
    struct statfs filesystem {};
    in_memory_ = !block_device_ && ::fstatfs(descriptor_, &filesystem) == 0 &&
                 (filesystem.f_type == TMPFS_MAGIC || filesystem.f_type == RAMFS_MAGIC);
}

FileBackend::~FileBackend() {
    ::close(descriptor_);
}

std::uint64_t FileBackend::size() const {
    if (block_device_) {
        const off_t end = ::lseek(descriptor_, 0, SEEK_END);
        if (end < 0) {
            throw std::system_error(errno, std::system_category(),
                                    fmt::format("cannot tell the size of {}", path_));
        }
        return static_cast<std::uint64_t>(end);
    }
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
        throw std::system_error(errno, std::system_category(),
                                fmt::format("cannot tell the size of {}", path_));
    }
    return static_cast<std::uint64_t>(status.st_size);
}

std::string FileBackend::describe() const {
    return fmt::format("{} {}", block_device_ ? "block device" : "file", path_);
}

bool FileBackend::try_now(Operation& operation) {
    switch (operation.kind) {
    case Operation::Kind::read:
        return operation.length <= largest_inline && read_from_cache(operation);
    case Operation::Kind::write:
        if (operation.fua || operation.length > largest_inline) {
            return false;
        }
        write(operation);
        return true;
    case Operation::Kind::cache:
        perform(operation);
        return true;
    default:
        return false;
    }
}

void FileBackend::perform(Operation& operation) {
    switch (operation.kind) {
    case Operation::Kind::read:
        if (!read_as_hole(operation)) {
            read(operation, 0);
        }
        return;
    case Operation::Kind::write:
        write(operation);
        break;
    case Operation::Kind::trim:
        trim(operation);
        break;
    case Operation::Kind::zero:
        zero(operation);
        break;
    case Operation::Kind::status:
        status(operation);
        return;
    case Operation::Kind::flush:
        sync(operation);
        return;
    case Operation::Kind::cache:
        // A hint: that the kernel cannot follow it is no error.
        ::posix_fadvise(descriptor_, signed_offset(operation.offset), signed_offset(operation.length),
                        POSIX_FADV_WILLNEED);
        return;
    }
    if (operation.fua && operation.error == nbd::Error::none) {
        sync(operation);
    }
}

bool FileBackend::read_from_cache(Operation& operation) {
    if (read_as_hole(operation)) {
        return true;
    }
    if (in_memory_) {
        read(operation, 0);
        return true;
    }
    if (!can_read_cached_.load(std::memory_order_relaxed)) {
        return false;
    }
    const iovec to{operation.buffer.data(), operation.length};
    const ssize_t got = ::preadv2(descriptor_, &to, 1, signed_offset(operation.offset), RWF_NOWAIT);
    if (got == static_cast<ssize_t>(operation.length)) {
        operation.pieces.push_back({operation.length, operation.buffer.data()});
        return true;
    }
    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
        can_read_cached_.store(false, std::memory_order_relaxed);
    }
    return false;
}

bool FileBackend::read_as_hole(Operation& operation) const {
    if (!operation.tell_holes || operation.length < smallest_hole_query || block_device_) {
        return false;
    }
    const off_t data = ::lseek(descriptor_, signed_offset(operation.offset), SEEK_DATA);
    const bool none_behind = data < 0 && errno == ENXIO;
    const bool none_within = data >= 0 && static_cast<std::uint64_t>(data) >= operation.end();
    if ((!none_behind && !none_within) || size() < operation.end()) {
        return false;
    }
    operation.pieces.push_back({operation.length, nullptr});
    return true;
}

void FileBackend::read(Operation& operation, std::uint64_t already) {
    while (already < operation.length) {
        const ssize_t got = ::pread(descriptor_, operation.buffer.data() + already,
                                    operation.length - already, signed_offset(operation.offset + already));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_with_errno(operation, errno, "reading");
        }
        if (got == 0) {
            return operation.fail(
                nbd::Error::io,
                fmt::format("the file has become shorter and ends at offset {}", operation.offset + already));
        }
        already += static_cast<std::uint64_t>(got);
    }
    operation.pieces.push_back({operation.length, operation.buffer.data()});
}

bool FileBackend::still_within(Operation& operation) const {
    // Writing would make a file longer that somebody has cut on purpose.
    if (block_device_) {
        return true;
    }
    const std::uint64_t now = size();
    if (operation.end() <= now) {
        return true;
    }
    operation.fail(nbd::Error::io, fmt::format("the file has become shorter and ends at offset {}", now));
    return false;
}

void FileBackend::write(Operation& operation) {
    if (!still_within(operation)) {
        return;
    }
    std::uint64_t already = 0;
    while (already < operation.length) {
        const ssize_t put = ::pwrite(descriptor_, operation.buffer.data() + already,
                                     operation.length - already, signed_offset(operation.offset + already));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return fail_with_errno(operation, errno, "writing");
        }
        already += static_cast<std::uint64_t>(put);
    }
}

FileBackend::Attempt FileBackend::allocate(Operation& operation, int mode, std::atomic<bool>& supported,
                                           const char* what) {
    if (!supported.load(std::memory_order_relaxed)) {
        return Attempt::unsupported;
    }
    int outcome = 0;
    do {
        outcome = ::fallocate(descriptor_, mode | FALLOC_FL_KEEP_SIZE, signed_offset(operation.offset),
                              signed_offset(operation.length));
    } while (outcome != 0 && errno == EINTR);
    if (outcome == 0) {
        return Attempt::done;
    }
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        supported.store(false, std::memory_order_relaxed);
        return Attempt::unsupported;
    }
    // A block device refuses what is not aligned to its blocks.
    if (block_device_ && errno == EINVAL) {
        return Attempt::unsupported;
    }
    fail_with_errno(operation, errno, what);
    return Attempt::failed;
}

void FileBackend::trim(Operation& operation) {
    if (still_within(operation)) {
        // A hint: where holes cannot be made there is nothing to do.
        allocate(operation, FALLOC_FL_PUNCH_HOLE, can_punch_, "trimming");
    }
}

void FileBackend::zero(Operation& operation) {
    if (!still_within(operation)) {
        return;
    }
    Attempt attempt = Attempt::unsupported;
    if (!operation.no_hole) {
        attempt = allocate(operation, FALLOC_FL_PUNCH_HOLE, can_punch_, "zeroing");
    }
    if (attempt == Attempt::unsupported) {
        attempt = allocate(operation, FALLOC_FL_ZERO_RANGE, can_zero_, "zeroing");
    }
    if (attempt != Attempt::unsupported) {
        return;
    }
    if (operation.fast) {
        operation.fail(nbd::Error::notsup, "this file can only be zeroed by writing zeroes");
        return;
    }
    write_zeroes(operation);
}

void FileBackend::write_zeroes(Operation& operation) {
    static const std::array<std::uint8_t, zero_block> zeroes{};
    std::uint64_t already = 0;
    while (already < operation.length) {
        const ssize_t put = ::pwrite(descriptor_, zeroes.data(),
                                     std::min<std::uint64_t>(zero_block, operation.length - already),
                                     signed_offset(operation.offset + already));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return fail_with_errno(operation, errno, "zeroing");
        }
        already += static_cast<std::uint64_t>(put);
    }
}

void FileBackend::status(Operation& operation) const {
    if (block_device_) {
        operation.extents.push_back({operation.length, 0});
        return;
    }
    const std::uint64_t file_end = size();
    std::uint64_t at = operation.offset;
    if (operation.end() > file_end) {
        return operation.fail(nbd::Error::io,
                              fmt::format("the file has become shorter and ends at offset {}", file_end));
    }
    while (at < operation.end() && operation.extents.size() < status_extents) {
        const off_t data = ::lseek(descriptor_, signed_offset(at), SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            // Without an answer everything counts as data, which is always right.
            operation.extents.push_back({file_end - at, 0});
            return;
        }
        const std::uint64_t hole_end =
            data < 0 ? file_end : std::min(file_end, static_cast<std::uint64_t>(data));
        if (hole_end > at) {
            operation.extents.push_back(
                {hole_end - at, nbd::allocation_flag::hole | nbd::allocation_flag::zero});
            at = hole_end;
            if (operation.one_extent) {
                return;
            }
            continue;
        }
        const off_t hole = ::lseek(descriptor_, signed_offset(at), SEEK_HOLE);
        const std::uint64_t data_end = hole < 0 || static_cast<std::uint64_t>(hole) <= at
                                           ? file_end
                                           : std::min(file_end, static_cast<std::uint64_t>(hole));
        operation.extents.push_back({data_end - at, 0});
        at = data_end;
        if (operation.one_extent) {
            return;
        }
    }
}

void FileBackend::sync(Operation& operation) {
    if (::fdatasync(descriptor_) != 0) {
        fail_with_errno(operation, errno, "making durable");
    }
}

} // namespace refserver
