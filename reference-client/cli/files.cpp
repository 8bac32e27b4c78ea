#include "reference-client/cli/files.hpp"

#include "reference-client/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace refclient::cli {
namespace {

Failure file_failure(const std::string& name, std::string_view doing, int code) {
    return {FailureKind::local, code, fmt::format("{}: cannot {}: {}", name, doing, std::strerror(code))};
}

} // namespace

File::File(int descriptor, std::string name, bool owned)
  : descriptor_(descriptor)
  , name_(std::move(name))
  , owned_(owned) {}

File::File(File&& other) noexcept
  : descriptor_(std::exchange(other.descriptor_, -1))
  , name_(std::move(other.name_))
  , owned_(other.owned_) {}

File::~File() {
    if (owned_ && descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

File File::standard_input() {
    return {STDIN_FILENO, "standard input", false};
}

File File::standard_output() {
    return {STDOUT_FILENO, "standard output", false};
}

File File::open(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        throw file_failure(path, "open", errno);
    }
    return {descriptor, path, true};
}

File File::create(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        throw file_failure(path, "create", errno);
    }
    return {descriptor, path, true};
}

void File::fail(std::string_view doing) const {
    throw file_failure(name_, doing, errno);
}

std::size_t File::read(std::span<std::uint8_t> room) {
    std::size_t count = 0;
    while (count < room.size()) {
        const ssize_t part = ::read(descriptor_, room.data() + count, room.size() - count);
        if (part == 0) {
            break;
        }
        if (part > 0) {
            count += static_cast<std::size_t>(part);
        } else if (errno != EINTR) {
            fail("read");
        }
    }
    return count;
}

void File::append(nbd::Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t part = ::write(descriptor_, bytes.data(), bytes.size());
        if (part >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(part));
        } else if (errno != EINTR) {
            fail("write");
        }
    }
}

void File::append(std::string_view text) {
    append(nbd::Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::uint64_t File::size() const {
    const off_t end = ::lseek(descriptor_, 0, SEEK_END);
    if (end < 0) {
        fail("find the size");
    }
    return static_cast<std::uint64_t>(end);
}

bool File::is_regular() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
        fail("examine");
    }
    return S_ISREG(status.st_mode);
}

void File::resize(std::uint64_t size) {
    if (size > INT64_MAX) {
        errno = EFBIG;
        fail("resize");
    }
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) {
        fail("resize");
    }
}

void File::read_at(std::uint64_t offset, std::span<std::uint8_t> room) {
    while (!room.empty()) {
        const ssize_t part = ::pread(descriptor_, room.data(), room.size(), static_cast<off_t>(offset));
        if (part == 0) {
            throw Failure(FailureKind::local, EIO,
                          fmt::format("{}: ends at {}; it was longer before", name_, offset));
        }
        if (part > 0) {
            room = room.subspan(static_cast<std::size_t>(part));
            offset += static_cast<std::uint64_t>(part);
        } else if (errno != EINTR) {
            fail("read");
        }
    }
}

void File::write_at(std::uint64_t offset, nbd::Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t part = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (part >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(part));
            offset += static_cast<std::uint64_t>(part);
        } else if (errno != EINTR) {
            fail("write");
        }
    }
}

void File::zero_at(std::uint64_t offset, std::uint64_t length, bool allocate) {
    if (!allocate && ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                 static_cast<off_t>(offset), static_cast<off_t>(length)) == 0) {
        return;
    }
    const nbd::Buffer zeroes(static_cast<std::size_t>(std::min<std::uint64_t>(length, 1U << 20)));
    while (length > 0) {
        const std::uint64_t part = std::min<std::uint64_t>(length, zeroes.size());
        write_at(offset, nbd::Bytes(zeroes).first(static_cast<std::size_t>(part)));
        offset += part;
        length -= part;
    }
}

std::uint64_t File::next(std::uint64_t offset, std::uint64_t end, bool data) const {
    const off_t found = ::lseek(descriptor_, static_cast<off_t>(offset), data ? SEEK_DATA : SEEK_HOLE);
    if (found >= 0) {
        return std::min(static_cast<std::uint64_t>(found), end);
    }
    // No more data up to the end; or a file that does not tell, which is all data.
    return errno == ENXIO || !data ? end : offset;
}

void File::sync() {
    // Pipes and the like have no storage.
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) {
        fail("sync");
    }
}

void File::close() {
    if (!owned_ || descriptor_ < 0) {
        return;
    }
    if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) {
        fail("close");
    }
}

} // namespace refclient::cli
