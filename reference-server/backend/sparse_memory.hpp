#pragma once

#include "reference-server/backend/backend.hpp"

#include <boost/icl/interval_set.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>

namespace refserver {

/// Memory that several disks share. Used from several threads at once.
class MemoryBudget {
  public:
    /// `bytes` altogether.
    explicit MemoryBudget(std::uint64_t bytes)
      : left_(static_cast<std::int64_t>(bytes)) {}

    /// False, and nothing is taken, if that many bytes are not left.
    [[nodiscard]] bool take(std::uint64_t bytes);
    /// Bytes that are left; less than that may be had if others are faster.
    [[nodiscard]] std::uint64_t left() const { return static_cast<std::uint64_t>(left_.load()); }
    void give_back(std::uint64_t bytes) { left_.fetch_add(static_cast<std::int64_t>(bytes)); }

  private:
    std::atomic<std::int64_t> left_;
};

/// A disk in memory that can be resized, takes only the room that was written to, and costs nearly nothing to
/// make and to drop. Everything reads as zeroes at first. A growth that leaves old bytes exposes what an
/// earlier shrink cut off; where nothing was yet, it exposes `junk`.
class SparseMemory : public Backend {
  public:
    static constexpr std::uint64_t page = 4096;

    /// A disk of `size` bytes, at most 2^63-1.
    SparseMemory(std::uint64_t size, std::shared_ptr<MemoryBudget> budget);
    ~SparseMemory() override;

    /// The byte that is exposed at an offset where nothing was before; never 0.
    [[nodiscard]] static std::uint8_t junk(std::uint64_t offset);

    [[nodiscard]] std::uint64_t size() const override { return size_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool read_only() const override { return false; }
    [[nodiscard]] bool lends_memory() const override { return false; }
    [[nodiscard]] std::string describe() const override;
    [[nodiscard]] bool try_now(Operation& operation) override;
    void perform(Operation& operation) override;
    [[nodiscard]] Failure set_size(const SizeChange& change) override;

  private:
    using Page = std::array<std::uint8_t, page>;
    using Bytes = boost::icl::discrete_interval<std::uint64_t>;

    [[nodiscard]] bool within(Operation& operation) const;
    void read(Operation& operation) const;
    void write(Operation& operation);
    void zero(Operation& operation);
    void status(Operation& operation) const;

    /// True if the page reads as zeroes and takes no memory.
    [[nodiscard]] bool is_hole(std::uint64_t index) const;
    /// The first page from `from` on that is (not) a hole, or `limit`.
    [[nodiscard]] std::uint64_t find(std::uint64_t from, std::uint64_t limit, bool hole) const;
    /// Copies what the bytes [begin, end), all of one page, read as.
    void copy_out(std::uint64_t begin, std::uint64_t end, std::uint8_t* to) const;
    /// Gives memory to all pages of [begin, end); false if there is none.
    [[nodiscard]] bool provide(std::uint64_t begin, std::uint64_t end);
    void forget(std::uint64_t begin, std::uint64_t end);
    void expose_old_bytes(std::uint64_t begin, std::uint64_t end);

    mutable std::shared_mutex mutex_;
    std::atomic<std::uint64_t> size_;
    std::uint64_t largest_so_far_;
    std::map<std::uint64_t, std::unique_ptr<Page>> pages_;
    /// What reads as junk, where there is no page.
    boost::icl::interval_set<std::uint64_t> junk_;
    const std::shared_ptr<MemoryBudget> budget_;
};

} // namespace refserver
