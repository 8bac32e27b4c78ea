#include "reference-server/session/extents.hpp"

#include <algorithm>

namespace refserver {
namespace {

void append(std::vector<Extent>& extents, std::uint64_t length, std::uint32_t status) {
    if (length == 0) {
        return;
    }
    if (!extents.empty() && extents.back().status == status) {
        extents.back().length += length;
    } else {
        extents.push_back({length, status});
    }
}

/// Moves the boundaries to multiples of `block`; the requests of a client that keeps to the block size begin
/// at one.
std::vector<Extent> align(const std::vector<Extent>& known, const ExtentRules& rules) {
    std::vector<Extent> aligned;
    std::uint64_t at = rules.offset;          // end of what was examined
    std::uint64_t block_begin = rules.offset; // end of what was appended
    std::uint32_t block_status = ~0U;         // of the bytes between
    for (const Extent& extent : known) {
        const std::uint64_t end = std::min(at + extent.length, rules.export_size);
        std::uint64_t from = at;
        if (block_begin < at) {
            block_status &= extent.status;
            const std::uint64_t block_end =
                std::min((block_begin / rules.block + 1) * rules.block, rules.export_size);
            if (end < block_end) {
                at = end;
                continue;
            }
            append(aligned, block_end - block_begin, block_status);
            block_begin = from = block_end;
        }
        const std::uint64_t whole = end == rules.export_size ? end : end / rules.block * rules.block;
        if (whole > from) {
            append(aligned, whole - from, extent.status);
            block_begin = whole;
        }
        block_status = extent.status;
        at = end;
    }
    if (block_begin < at && aligned.empty()) {
        // Only a part of one block is known: nothing may be claimed of the rest.
        append(aligned,
               std::min((block_begin / rules.block + 1) * rules.block, rules.export_size) - block_begin, 0);
    }
    return aligned;
}

} // namespace

std::vector<Extent> to_reply(const std::vector<Extent>& known, const ExtentRules& rules) {
    std::vector<Extent> reply;
    std::uint64_t told = 0;
    for (const Extent& extent : align(known, rules)) {
        if (told >= rules.length) {
            break;
        }
        const std::uint64_t most =
            rules.one ? std::min(rules.longest_extent, rules.length) : rules.longest_extent;
        reply.push_back({std::min(extent.length, most), extent.status});
        told += reply.back().length;
        if (rules.one || extent.length > most) {
            break;
        }
    }
    return reply;
}

} // namespace refserver
