#pragma once

#include "reference-server/backend/operation.hpp"

#include <cstdint>
#include <vector>

namespace refserver {

/// What a reply to NBD_CMD_BLOCK_STATUS has to keep to.
struct ExtentRules {
    std::uint64_t offset = 0;         ///< where the request begins
    std::uint64_t length = 0;         ///< of the request, not 0
    std::uint64_t export_size = 0;    ///< nothing is told beyond
    std::uint64_t block = 1;          ///< minimum block size; extents are made of whole blocks
    std::uint64_t longest_extent = 0; ///< what the length field can hold
    bool one = false;                 ///< NBD_CMD_FLAG_REQ_ONE
};

/// Turns what a backend knows into extents that may be sent: neighbours of the same status joined, of whole
/// blocks (a block is a hole or zero only if all of it is), not beyond the export, none longer than the
/// length field can hold, and none that begins behind the request. At least one. With `one`, exactly one
/// that is no longer than the request.
[[nodiscard]] std::vector<Extent> to_reply(const std::vector<Extent>& known, const ExtentRules& rules);

} // namespace refserver
