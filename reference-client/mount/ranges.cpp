#include "reference-client/mount/ranges.hpp"

#include <algorithm>

namespace refclient::mount {
namespace {

/// Keeps the time that one request takes on a server within bounds, so that others get their turn.
constexpr std::uint64_t longest_request = std::uint64_t{1} << 30;

} // namespace

Range between(std::uint64_t from, std::uint64_t to) {
    return {from, to > from ? to - from : 0};
}

Range before(Range range, std::uint64_t end) {
    return between(range.offset, std::min(range.end(), end));
}

std::uint64_t round_down(std::uint64_t value, std::uint64_t step) {
    return value - value % step;
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
    return round_down(value + step - 1, step);
}

Range whole_blocks(Range range, std::uint64_t block) {
    return between(round_down(range.offset, block), round_up(range.end(), block));
}

Range inner_blocks(Range range, std::uint64_t block) {
    return between(round_up(range.offset, block), round_down(range.end(), block));
}

bool is_aligned(Range range, std::uint64_t block) {
    return range.offset % block == 0 && range.length % block == 0;
}

Limits limits_of(const ExportInfo& info) {
    const std::uint64_t block = info.minimum_block();
    return {block, round_down(std::max<std::uint64_t>(info.maximum_payload(), block), block),
            round_down(longest_request, block)};
}

std::vector<Range> cut(Range range, std::uint64_t most) {
    std::vector<Range> pieces;
    for (std::uint64_t at = range.offset; at < range.end();) {
        const std::uint64_t length = std::min(most, range.end() - at);
        pieces.push_back({at, length});
        at += length;
    }
    return pieces;
}

} // namespace refclient::mount
