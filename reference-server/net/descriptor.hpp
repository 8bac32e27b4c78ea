#pragma once

#include <unistd.h>
#include <utility>

namespace refserver {

/// A file descriptor that is closed when it is dropped.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int number)
      : number_(number) {}
    Descriptor(Descriptor&& other) noexcept
      : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const { return number_; }
    [[nodiscard]] bool valid() const { return number_ >= 0; }
    /// Leaves it to the caller.
    [[nodiscard]] int release() { return std::exchange(number_, -1); }
    void reset() {
        if (number_ >= 0) {
            ::close(std::exchange(number_, -1));
        }
    }

  private:
    int number_ = -1;
};

} // namespace refserver
