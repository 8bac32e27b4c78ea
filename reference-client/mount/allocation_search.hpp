#pragma once

// SEEK_DATA and SEEK_HOLE by block status.

#include "reference-client/mount/ranges.hpp"
#include "reference-client/operation.hpp"

#include <optional>
#include <span>

namespace refclient::mount {

/// What is looked for.
enum class Seek { data, hole };

/// Looks for the first data or hole from an offset on. A hole is what reads as zero (NBD_STATE_ZERO), for
/// that is what programs take a hole for. Ask for the status of `next()`, give the extents to `take`, until
/// there is no `next()`.
class AllocationSearch {
  public:
    /// `end` is that of the file and comes behind `from`.
    AllocationSearch(Seek kind, std::uint64_t from, std::uint64_t end, const Limits& limits);

    /// What to ask about.
    [[nodiscard]] std::optional<Range> next() const;
    /// What base:allocation says, from the beginning of `next()`. Nothing at all is taken for data.
    void take(std::span<const Extent> extents);
    /// Where it is. A hole is at the end of the file at the latest; without data there is nothing.
    [[nodiscard]] std::optional<std::uint64_t> found() const;

  private:
    Seek kind_;
    std::uint64_t from_;
    std::uint64_t at_; ///< nothing was found before
    std::uint64_t end_;
    Limits limits_;
    bool found_ = false;
};

} // namespace refclient::mount
