#pragma once

// What a client holds to be the size of an export that may be resized while it is in use.

#include <cstdint>
#include <functional>
#include <utility>

namespace refclient {

/// The size of an export as far as its client knows, in bytes. Connections to one export share it.
class BelievedSize {
  public:
    explicit BelievedSize(std::uint64_t size)
      : size_(size) {}

    [[nodiscard]] std::uint64_t get() const { return size_; }

    /// The server has said what the size is (RZ-CHUNK-3).
    void report(std::uint64_t size) {
        size_ = size;
        if (observer_) {
            observer_(size);
        }
    }

    /// The export was seen to be at least that long (RZ-AUTO-12).
    void reaches(std::uint64_t end) { size_ = end > size_ ? end : size_; }

    /// Calls a function with every size that is reported; nullptr: none.
    void observe(std::function<void(std::uint64_t)> observer) { observer_ = std::move(observer); }

  private:
    std::uint64_t size_;
    std::function<void(std::uint64_t)> observer_;
};

} // namespace refclient
