#pragma once

// What a session asks of a backend, and the backend's answer.

#include "protocol/numbers.hpp"
#include "reference-server/session/buffers.hpp"

#include <boost/container/small_vector.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace refserver {

/// A run of bytes of a read. Without data the bytes are zeroes that take no room in the backend.
struct Piece {
    std::uint64_t length = 0; ///< bytes
    const std::uint8_t* data = nullptr;
};

/// A run of bytes with the same status.
struct Extent {
    std::uint64_t length = 0; ///< bytes
    std::uint32_t status = 0; ///< `nbd::allocation_flag`

    bool operator==(const Extent&) const = default;
};

/// One operation on an export, and, once it is complete, its outcome. Its range lies within the export,
/// unless it may extend it. A resize has the requested size as its offset.
struct Operation {
    enum class Kind { read, write, flush, trim, cache, zero, status, resize };

    Kind kind = Kind::read;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool fua = false;        ///< complete only when what was written is on stable storage
    bool no_hole = false;    ///< zero: the range has to stay or become allocated
    bool fast = false;       ///< zero: only if it is faster than writing
    bool tell_holes = false; ///< read: zeroes may be told as such instead of being read
    bool one_extent = false; ///< status: only the first extent will be used

    bool may_extend = false;     ///< write, zero: the export grows if the range ends behind it
    bool exact_size = false;     ///< resize: the client gets the size that it asked for, or an error
    const void* cause = nullptr; ///< write, zero, resize: the connection that asks for a change of size

    /// write: the payload. read: where the data go if the backend does not lend its own memory.
    PooledBuffer buffer;

    nbd::Error error = nbd::Error::none;
    std::string message; ///< for people, where there is an error

    bool size_changed = false;
    std::uint64_t new_size = 0;  ///< resize, or where the size changed: the size of the export, in bytes
    bool exposed_zeroes = false; ///< the change exposed bytes, and they are zero

    /// read: the data in order, `length` bytes altogether; they point into `buffer` or into memory of the
    /// backend that stays as long as the export.
    boost::container::small_vector<Piece, 4> pieces;
    /// status: extents from `offset` on; at least one, not necessarily up to the end of the range, and
    /// possibly beyond it.
    std::vector<Extent> extents;

    [[nodiscard]] std::uint64_t end() const { return offset + length; }
    void fail(nbd::Error why, std::string text) {
        error = why;
        message = std::move(text);
    }
};

} // namespace refserver
