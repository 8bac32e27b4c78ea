#pragma once

#include "reference-server/backend/backend.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <shared_mutex>

namespace refserver {

/// A disk in memory that takes only the room that was written to. Everything reads as zeroes at first.
class MemoryBackend : public Backend {
  public:
    /// Holes are known in units of this many bytes.
    static constexpr std::uint64_t page = 4096;

    /// A disk of `size` bytes. Throws std::system_error if the address space cannot be had.
    explicit MemoryBackend(std::uint64_t size);
    ~MemoryBackend() override;

    [[nodiscard]] std::uint64_t size() const override { return size_; }
    [[nodiscard]] bool read_only() const override { return false; }
    [[nodiscard]] bool lends_memory() const override { return true; }
    [[nodiscard]] std::string describe() const override;
    [[nodiscard]] bool try_now(Operation& operation) override;
    void perform(Operation& operation) override;

  private:
    static constexpr std::size_t stripes = 64;
    static constexpr std::uint64_t stripe_bytes = std::uint64_t{16} << 20;

    void read(Operation& operation) const;
    void write(Operation& operation);
    void zero(const Operation& operation, bool keep_allocated);
    void status(Operation& operation) const;

    /// Gets memory for pages that are about to be written; false if there is none.
    [[nodiscard]] bool provide_memory(std::uint64_t first, std::uint64_t last);
    void zero_stripe(std::uint64_t begin, std::uint64_t end, bool keep_allocated);
    void clear_within_page(std::uint64_t begin, std::uint64_t end);
    void allocate_pages(std::uint64_t first, std::uint64_t last);
    bool release_pages(std::uint64_t first, std::uint64_t last);
    /// The first page of [from, limit) that is (not) allocated, or `limit`.
    [[nodiscard]] std::uint64_t find_page(std::uint64_t from, std::uint64_t limit, bool allocated) const;
    void for_each_stripe(std::uint64_t begin, std::uint64_t end,
                         const std::function<void(std::uint64_t, std::uint64_t, std::shared_mutex&)>& body);

    const std::uint64_t size_;
    const std::uint64_t pages_;
    std::uint8_t* bytes_ = nullptr;
    std::size_t mapped_bytes_ = 0;
    /// One bit for each page that is allocated.
    std::atomic<std::uint64_t>* allocated_ = nullptr;
    std::size_t mapped_bitmap_ = 0;
    /// Shared while bytes are written, exclusive while pages are released: a page must not be released
    /// between the moment a write marks it as allocated and the moment its bytes arrive.
    std::array<std::shared_mutex, stripes> locks_;
    /// Orders what one connection wrote before what another one reads afterwards.
    mutable std::atomic<std::uint64_t> published_{0};
};

} // namespace refserver
