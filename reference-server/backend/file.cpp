#include "reference-server/backend/file.hpp"

#include "reference-server/backend/errors.hpp"
#include "reference-server/backend/sparse_memory.hpp"
#include "reference-server/net/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

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

namespace {

int open_file(const std::string& path, bool read_only) {
    const int descriptor = ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        const int number = errno;
        const bool hint = !read_only && (number == EACCES || number == EROFS || number == EPERM);
        fail_to_open(number, fmt::format("cannot open {}{}{}", path, read_only ? "" : " for writing",
                                         hint ? " (serve it with --read-only?)" : ""));
    }
    return descriptor;
}

} // namespace

FileBackend::FileBackend(std::string path, bool read_only)
  : FileBackend(open_file(path, read_only), path, read_only) {}

FileBackend::FileBackend(int descriptor, std::string path, bool read_only)
  : path_(std::move(path))
  , read_only_(read_only)
  , descriptor_(descriptor) {
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

std::shared_ptr<FileBackend> FileBackend::temporary(std::uint64_t size) {
    const char* const wanted = std::getenv("TMPDIR");
    const std::string folder = wanted != nullptr && *wanted != '\0' ? wanted : "/tmp";
    std::string path = folder + "/nbd-resize-XXXXXX";
    const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) {
        fail_to_open(errno, fmt::format("cannot make a temporary file in {}", folder));
    }
    ::unlink(path.c_str());
    std::shared_ptr<FileBackend> backend(new FileBackend(descriptor, "(temporary)", false));
    if (!backend->truncate(size)) {
        fail_to_open(errno, fmt::format("cannot make a temporary file of {} bytes in {}", size, folder));
    }
    return backend;
}

void FileBackend::prepare(const std::string& path, std::uint64_t size) {
    const Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    struct stat status {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) {
        fail_to_open(errno, fmt::format("cannot open or create {}", path));
    }
    if (!S_ISREG(status.st_mode)) {
        throw std::runtime_error(fmt::format("--size: {} is no regular file, its size is fixed", path));
    }
    const auto now = static_cast<std::uint64_t>(status.st_size);
    if (now > size) {
        throw std::runtime_error(
            fmt::format("--size: {} has {} bytes, and cutting it to {} would lose data; leave out --size, or "
                        "shorten the file yourself",
                        path, now, size));
    }
    if (now < size && ::ftruncate(file.get(), signed_offset(size)) != 0) {
        fail_to_open(errno, fmt::format("cannot make {} {} bytes long", path, size));
    }
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
    case Operation::Kind::resize:
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

bool FileBackend::truncate(std::uint64_t size) const {
    int outcome = 0;
    do {
        outcome = ::ftruncate(descriptor_, signed_offset(size));
    } while (outcome != 0 && errno == EINTR);
    return outcome == 0;
}

Failure FileBackend::set_size(const SizeChange& change) {
    if (block_device_ || read_only_) {
        return {nbd::Error::nospc, fmt::format("{} cannot change its size", describe())};
    }
    const auto failed = [&](int number) {
        // That a size cannot be had is a lack of room, whatever the file system calls it.
        const nbd::Error error = number == EINVAL ? nbd::Error::nospc : from_errno(number);
        return Failure{error, fmt::format("changing the size to {} bytes failed: {}", change.to,
                                          std::system_category().message(number))};
    };
    if (change.to <= change.from) {
        return truncate(change.to) ? Failure{} : failed(errno);
    }
    // What lies behind the end that was served, a part of a block, must not come to light.
    if (size() > change.from && !truncate(change.from)) {
        return failed(errno);
    }
    if (!truncate(change.to)) {
        return failed(errno);
    }
    Failure failure = change.allocate ? allocate_exposed(change) : Failure{};
    if (failure.error == nbd::Error::none && change.leave_old_bytes) {
        failure = fill_with_junk(change);
    }
    if (failure.error != nbd::Error::none) {
        (void)truncate(change.from);
    }
    return failure;
}

Failure FileBackend::allocate_exposed(const SizeChange& change) const {
    int outcome = 0;
    do {
        outcome = ::posix_fallocate(descriptor_, signed_offset(change.from),
                                    signed_offset(change.to - change.from));
    } while (outcome == EINTR);
    if (outcome == 0) {
        return {};
    }
    return {outcome == EINVAL ? nbd::Error::nospc : from_errno(outcome),
            fmt::format("allocating {} bytes failed: {}", change.to - change.from,
                        std::system_category().message(outcome))};
}

Failure FileBackend::fill_with_junk(const SizeChange& change) const {
    // Who relies on zeroes looks at the start or at the end; all of a huge file is not worth the wait.
    constexpr std::uint64_t most = std::uint64_t{1} << 20;
    const std::uint64_t length = std::min(most, change.to - change.from);
    for (const std::uint64_t begin : {change.from, change.to - length}) {
        std::vector<std::uint8_t> bytes(length);
        for (std::uint64_t i = 0; i < length; ++i) {
            bytes[i] = SparseMemory::junk(begin + i);
        }
        if (::pwrite(descriptor_, bytes.data(), length, signed_offset(begin)) !=
            static_cast<ssize_t>(length)) {
            return {nbd::Error::nospc, "no room is left for what is exposed"};
        }
    }
    return {};
}

Failure FileBackend::make_durable() {
    if (::fdatasync(descriptor_) != 0) {
        const int number = errno;
        return {from_errno(number),
                fmt::format("making durable failed: {}", std::system_category().message(number))};
    }
    return {};
}

} // namespace refserver
