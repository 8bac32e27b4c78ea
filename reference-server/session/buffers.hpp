#pragma once

// Buffers for payloads that are taken and given back all the time.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace refserver {

class BufferPool;

/// A buffer that goes back to its pool when it is dropped. Its bytes are not initialised.
class PooledBuffer {
  public:
    PooledBuffer() = default;
    PooledBuffer(PooledBuffer&& other) noexcept;
    PooledBuffer& operator=(PooledBuffer&& other) noexcept;
    ~PooledBuffer();

    [[nodiscard]] std::uint8_t* data() const { return data_; }
    /// What was asked for, in bytes.
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<std::uint8_t> bytes() const { return {data_, size_}; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    void reset();

  private:
    friend class BufferPool;
    PooledBuffer(BufferPool* pool, std::uint8_t* data, std::size_t size)
      : pool_(pool)
      , data_(data)
      , size_(size) {}

    BufferPool* pool_ = nullptr;
    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Keeps buffers for reuse, so that payloads land in memory that the processor still has in its cache.
/// Belongs to one thread, and outlives its buffers.
class BufferPool {
  public:
    BufferPool() = default;
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    /// A buffer of `size` bytes; an empty one for 0. Throws std::bad_alloc.
    [[nodiscard]] PooledBuffer take(std::size_t size);

  private:
    friend class PooledBuffer;
    static constexpr std::size_t classes = 48;
    static constexpr std::size_t kept_bytes = std::size_t{16} << 20;

    void give_back(std::uint8_t* data, std::size_t size);

    std::array<std::vector<std::uint8_t*>, classes> free_;
    std::size_t free_bytes_ = 0;
};

} // namespace refserver
