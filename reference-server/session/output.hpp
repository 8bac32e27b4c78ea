#pragma once

#include "protocol/codec.hpp"
#include "reference-server/session/buffers.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <sys/uio.h>

namespace refserver {

/// Bytes that wait to be sent, in order. Headers are kept here, payloads may live elsewhere.
class OutputQueue {
  public:
    /// The longest header that `add_header` takes, in bytes.
    static constexpr std::size_t max_header = 48;

    explicit OutputQueue(BufferPool& pool)
      : pool_(pool) {}

    /// Adds `size` bytes and returns where to write them, before anything else is added.
    [[nodiscard]] std::uint8_t* add_header(std::size_t size);
    /// Adds a copy of the bytes.
    void add_copy(nbd::Bytes bytes);
    /// Adds bytes that stay valid until they are sent.
    void add_borrowed(nbd::Bytes bytes);
    /// Adds that many zero bytes.
    void add_zeroes(std::uint64_t size);
    /// Keeps the buffer, which earlier bytes may point into, until what was added so far is sent.
    void keep(PooledBuffer buffer);

    /// Fills `vectors` with the next bytes to send; returns how many it filled.
    [[nodiscard]] std::size_t gather(std::span<iovec> vectors) const;
    /// Drops the first `size` bytes, which have been sent.
    void consume(std::uint64_t size);
    void clear();

    [[nodiscard]] bool empty() const { return segments_.empty(); }
    /// Bytes that wait.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    /// All bytes that were added so far, and all that were sent.
    [[nodiscard]] std::uint64_t total_added() const { return total_sent_ + size_; }
    [[nodiscard]] std::uint64_t total_sent() const { return total_sent_; }
    /// Bytes of memory that are held for them, borrowed ones not counted.
    [[nodiscard]] std::uint64_t held() const { return held_ + segments_.size() * sizeof(Segment); }

  private:
    struct Segment {
        std::array<std::uint8_t, max_header> header;
        std::size_t header_size = 0;
        const std::uint8_t* body = nullptr; ///< null for zeroes
        std::uint64_t body_size = 0;
        PooledBuffer owned;

        [[nodiscard]] std::uint64_t size() const { return header_size + body_size; }
    };

    Segment& with_free_body();

    BufferPool& pool_;
    std::deque<Segment> segments_;
    std::uint64_t sent_of_first_ = 0;
    std::uint64_t total_sent_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t held_ = 0;
};

} // namespace refserver
