#pragma once

// Which bytes of a read have arrived, whatever the order of the chunks.

#include <cstdint>
#include <map>

namespace refclient {

/// Disjoint ranges of bytes. Memory is bounded: see `max_ranges`.
class Coverage {
  public:
    enum class Added {
        yes,
        overlaps, ///< with what is there; nothing was added
        full,     ///< there would be more than `max_ranges` ranges apart from each other
    };

    /// More ranges that do not touch than a server can have a reason for: a read of 64 MiB in sectors of 512
    /// bytes of which every second one is missing.
    static constexpr std::size_t max_ranges = 65536;

    /// Adds `length` bytes, not 0, from `offset`; their end must not overflow.
    Added add(std::uint64_t offset, std::uint64_t length);

    /// True if the byte at `offset` is there.
    [[nodiscard]] bool contains(std::uint64_t offset) const;

    /// The number of bytes that are there.
    [[nodiscard]] std::uint64_t total() const { return total_; }

  private:
    std::map<std::uint64_t, std::uint64_t> ranges_; ///< from start to end
    std::uint64_t total_ = 0;
};

} // namespace refclient
