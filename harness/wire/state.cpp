#include "harness/wire/state.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace wire {
namespace {

constexpr std::uint64_t end_of_all = std::numeric_limits<std::uint64_t>::max();

} // namespace

bool OpenOption::asked(nbd::InfoType type) const {
    return info && std::ranges::find(info->requests, type) != info->requests.end();
}

bool Coverage::add(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end) {
        return false;
    }
    bool overlaps = false;
    auto next = pieces_.lower_bound(begin);
    if (next != pieces_.begin()) {
        const auto previous = std::prev(next);
        overlaps = previous->second > begin;
        if (previous->second >= begin) {
            begin = previous->first;
            end = std::max(end, previous->second);
            pieces_.erase(previous);
        }
    }
    while (next != pieces_.end() && next->first <= end) {
        overlaps = overlaps || next->first < end;
        end = std::max(end, next->second);
        next = pieces_.erase(next);
    }
    pieces_.emplace(begin, end);
    return overlaps;
}

bool Coverage::covers(std::uint64_t begin, std::uint64_t end) const {
    const auto after = pieces_.upper_bound(begin);
    return begin >= end || (after != pieces_.begin() && std::prev(after)->second >= end);
}

bool Coverage::contains(std::uint64_t at) const {
    return at != end_of_all && covers(at, at + 1);
}

std::uint64_t OpenRequest::end() const {
    return request.offset > end_of_all - effect ? end_of_all : request.offset + effect;
}

bool State::fixed() const {
    return (handshake_flags & nbd::handshake_flag::fixed_newstyle) != 0 &&
           (client_flags & nbd::client_flag::fixed_newstyle) != 0;
}

bool State::no_zeroes() const {
    return (handshake_flags & nbd::handshake_flag::no_zeroes) != 0 &&
           (client_flags & nbd::client_flag::no_zeroes) != 0;
}

std::uint64_t State::max_payload() const {
    return entered && entered->block ? entered->block->maximum : nbd::default_max_payload;
}

std::uint32_t State::min_block() const {
    return entered && entered->block ? std::max(entered->block->minimum, 1U) : 1;
}

std::uint64_t KnownSizes::tell(const std::string& export_name, std::uint64_t size) {
    std::uint64_t& largest = largest_[export_name];
    largest = std::max(largest, size);
    return largest;
}

} // namespace wire
