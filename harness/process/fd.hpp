#pragma once

#include <string>
#include <utility>

namespace harness {

/// Owner of one file descriptor; -1: none. All that this room opens is close-on-exec.
class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd)
      : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other)
            reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool valid() const { return fd_ >= 0; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

  private:
    int fd_ = -1;
};

/// The two ends of a pipe.
struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

/// Makes a pipe, both ends close-on-exec and blocking. Throws std::system_error (descriptor limits).
Pipe make_pipe();

/// Makes reads and writes of the open file behind `fd` return EAGAIN instead of waiting.
/// Throws std::system_error.
void set_nonblocking(int fd);

/// The text of an errno value; unlike strerror() for use from several threads.
std::string error_text(int error);

} // namespace harness
