#include "reference-client/coverage.hpp"

#include <iterator>

namespace refclient {

Coverage::Added Coverage::add(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    const auto next = ranges_.lower_bound(offset);
    if (next != ranges_.end() && next->first < end) {
        return Added::overlaps;
    }
    const bool joins_next = next != ranges_.end() && next->first == end;
    bool joins_previous = false;
    if (next != ranges_.begin()) {
        const auto previous = std::prev(next);
        if (previous->second > offset) {
            return Added::overlaps;
        }
        joins_previous = previous->second == offset;
    }
    if (!joins_next && !joins_previous && ranges_.size() >= max_ranges) {
        return Added::full;
    }
    std::uint64_t joined_end = end;
    if (joins_next) {
        joined_end = next->second;
    }
    if (joins_previous) {
        std::prev(next)->second = joined_end;
    } else {
        ranges_.emplace_hint(next, offset, joined_end);
    }
    if (joins_next) {
        ranges_.erase(next);
    }
    total_ += length;
    return Added::yes;
}

bool Coverage::contains(std::uint64_t offset) const {
    const auto after = ranges_.upper_bound(offset);
    return after != ranges_.begin() && std::prev(after)->second > offset;
}

} // namespace refclient
