#include "reference-client/mount/allocation_search.hpp"

#include "protocol/numbers.hpp"

#include <algorithm>

namespace refclient::mount {

AllocationSearch::AllocationSearch(Seek kind, std::uint64_t from, std::uint64_t end, const Limits& limits)
  : kind_(kind)
  , from_(from)
  , at_(round_down(from, limits.block))
  , end_(end)
  , limits_(limits) {}

std::optional<Range> AllocationSearch::next() const {
    if (found_ || at_ >= end_) {
        return std::nullopt;
    }
    const Range rest = whole_blocks(between(at_, end_), limits_.block);
    return Range{rest.offset, std::min(rest.length, limits_.length)};
}

void AllocationSearch::take(std::span<const Extent> extents) {
    const std::uint64_t start = at_;
    for (const Extent& extent : extents) {
        const bool hole = (extent.status & nbd::allocation_flag::zero) != 0;
        const std::uint64_t behind = extent.length > end_ - at_ ? end_ : at_ + extent.length;
        if (hole == (kind_ == Seek::hole) && behind > from_) {
            found_ = true;
            return;
        }
        at_ = behind;
        if (at_ >= end_) {
            return;
        }
    }
    if (at_ == start) {
        found_ = kind_ == Seek::data;
        at_ = found_ ? at_ : end_;
    }
}

std::optional<std::uint64_t> AllocationSearch::found() const {
    if (found_) {
        return std::max(at_, from_);
    }
    return kind_ == Seek::hole ? std::optional(end_) : std::nullopt;
}

} // namespace refclient::mount
