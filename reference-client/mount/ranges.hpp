#pragma once

// Ranges of bytes, cut as the requests of a connection want them.

#include "reference-client/export_info.hpp"

#include <cstdint>
#include <vector>

namespace refclient::mount {

/// Bytes of the file, which are those of the export.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    [[nodiscard]] std::uint64_t end() const { return offset + length; }
    [[nodiscard]] bool empty() const { return length == 0; }
    bool operator==(const Range&) const = default;
};

/// The bytes from one offset to another; none if that comes before.
[[nodiscard]] Range between(std::uint64_t from, std::uint64_t to);

/// The part of a range that lies before `end`.
[[nodiscard]] Range before(Range range, std::uint64_t end);

[[nodiscard]] std::uint64_t round_down(std::uint64_t value, std::uint64_t step);
/// The next multiple; the value must be at most `nbd::max_resize`.
[[nodiscard]] std::uint64_t round_up(std::uint64_t value, std::uint64_t step);

/// The fewest whole blocks that hold the range.
[[nodiscard]] Range whole_blocks(Range range, std::uint64_t block);
/// The whole blocks that lie in the range; empty if there are none.
[[nodiscard]] Range inner_blocks(Range range, std::uint64_t block);
[[nodiscard]] bool is_aligned(Range range, std::uint64_t block);

/// What the requests of a connection have to keep to, in bytes.
struct Limits {
    std::uint64_t block = 1;   ///< offsets and lengths are multiples of it
    std::uint64_t payload = 0; ///< the most that a read or a write may have
    std::uint64_t length = 0;  ///< the most that other requests may have
};

/// The limits of an export: Size constraints, and the width of a request's length.
[[nodiscard]] Limits limits_of(const ExportInfo& info);

/// The range in consecutive pieces of at most so many bytes.
[[nodiscard]] std::vector<Range> cut(Range range, std::uint64_t most);

} // namespace refclient::mount
