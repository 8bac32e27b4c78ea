#include "reference-client/mount/block_writes.hpp"

#include <algorithm>

namespace refclient::mount {
namespace {

constexpr std::uint64_t zeroes_at_a_time = 1048576;

void write_pieces(Connection& connection, std::uint64_t offset, nbd::Bytes data, std::uint64_t most) {
    for (const Range& piece : cut({offset, data.size()}, most)) {
        connection.write(piece.offset, data.subspan(piece.offset - offset, piece.length));
    }
}

} // namespace

void overwrite(Connection& connection, std::uint64_t offset, nbd::Bytes data) {
    const Limits limits = limits_of(connection.info());
    const Range range{offset, data.size()};
    if (is_aligned(range, limits.block)) {
        return write_pieces(connection, offset, data, limits.payload);
    }
    const Range blocks = whole_blocks(range, limits.block);
    nbd::Buffer merged(blocks.length);
    const std::span<std::uint8_t> view(merged);
    if (blocks.offset != range.offset) {
        connection.read(blocks.offset, view.first(limits.block));
    }
    const bool head_is_tail = blocks.offset != range.offset && blocks.length == limits.block;
    if (blocks.end() != range.end() && !head_is_tail) {
        connection.read(blocks.end() - limits.block, view.last(limits.block));
    }
    std::ranges::copy(data, view.subspan(range.offset - blocks.offset).begin());
    write_pieces(connection, blocks.offset, merged, limits.payload);
}

void overwrite_with_zeroes(Connection& connection, Range range, std::uint16_t flags) {
    const Limits limits = limits_of(connection.info());
    const Range inner = inner_blocks(range, limits.block);
    const bool command = connection.info().has(nbd::transmission_flag::send_write_zeroes);
    const auto write = [&connection](Range part) {
        const nbd::Buffer zeroes(std::min(part.length, zeroes_at_a_time));
        for (const Range& piece : cut(part, zeroes_at_a_time)) {
            overwrite(connection, piece.offset, nbd::Bytes(zeroes).first(piece.length));
        }
    };
    if (!command || inner.empty()) {
        return write(range);
    }
    write(between(range.offset, inner.offset));
    write(between(inner.end(), range.end()));
    for (const Range& piece : cut(inner, limits.length)) {
        connection.zero(piece.offset, piece.length, flags);
    }
}

} // namespace refclient::mount
