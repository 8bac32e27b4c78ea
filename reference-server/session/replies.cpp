#include "reference-server/session/replies.hpp"

#include "protocol/describe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>

namespace refserver {
namespace {

/// Shorter holes between data are sent as zeroes: a chunk of their own would cost more.
constexpr std::uint64_t smallest_hole = 4096;

std::uint64_t total(std::span<const Piece> pieces) {
    std::uint64_t sum = 0;
    for (const Piece& piece : pieces) {
        sum += piece.length;
    }
    return sum;
}

} // namespace

void Replies::simple_header(const nbd::Request& request, nbd::Error error) {
    const nbd::SimpleReply reply{error, request.cookie};
    nbd::encode_fixed(output_.add_header(nbd::wire_size<nbd::SimpleReply>), reply);
    if (trace_) {
        trace_("< " + nbd::describe(reply));
    }
}

void Replies::chunk_header(const nbd::Request& request, bool done, nbd::ChunkType type,
                           std::uint64_t length) {
    const std::uint16_t flags = done ? nbd::reply_flag::done : std::uint16_t{0};
    if (style_ == ReplyStyle::extended) {
        const bool echoes = request.type != nbd::Command::resize || !has(Fault::offset_not_echoed);
        const nbd::ExtendedChunk chunk{flags, type, request.cookie, echoes ? request.offset : 0, length};
        nbd::encode_fixed(output_.add_header(nbd::wire_size<nbd::ExtendedChunk>), chunk);
        if (trace_) {
            trace_("< " + nbd::describe(chunk));
        }
    } else {
        const nbd::StructuredChunk chunk{flags, type, request.cookie, static_cast<std::uint32_t>(length)};
        nbd::encode_fixed(output_.add_header(nbd::wire_size<nbd::StructuredChunk>), chunk);
        if (trace_) {
            trace_("< " + nbd::describe(chunk));
        }
    }
}

template <class Payload>
void Replies::small_payload(const Payload& payload) {
    nbd::encode_fixed(output_.add_header(nbd::wire_size<Payload>), payload);
    if (trace_) {
        trace_("<   " + nbd::describe(payload));
    }
}

void Replies::success(const nbd::Request& request) {
    if (style_ == ReplyStyle::simple) {
        simple_header(request, nbd::Error::none);
    } else {
        chunk_header(request, true, nbd::ChunkType::none, 0);
    }
}

void Replies::error(const nbd::Request& request, nbd::Error error, std::string_view message) {
    if (style_ == ReplyStyle::simple) {
        simple_header(request, error);
        if (trace_) {
            trace_(fmt::format("<   ({})", message));
        }
        return;
    }
    const nbd::ErrorChunk payload{error, std::string(message.substr(0, nbd::max_string))};
    const nbd::Buffer bytes = nbd::encode(payload);
    if (has(Fault::chunk_beside_error) && request.type == nbd::Command::resize) {
        (void)size(request, {}, false);
    }
    chunk_header(request, true, nbd::ChunkType::error, bytes.size());
    output_.add_copy(bytes);
    if (trace_) {
        trace_("<   " + nbd::describe(payload));
    }
}

void Replies::append(std::span<const Piece> pieces) {
    for (const Piece& piece : pieces) {
        if (piece.data != nullptr) {
            output_.add_borrowed({piece.data, piece.length});
        } else {
            output_.add_zeroes(piece.length);
        }
    }
}

void Replies::data_chunk(const nbd::Request& request, bool done, std::uint64_t offset,
                         std::span<const Piece> pieces) {
    chunk_header(request, done, nbd::ChunkType::offset_data, nbd::wire_size<nbd::OffsetData> + total(pieces));
    small_payload(nbd::OffsetData{offset});
    append(pieces);
}

void Replies::hole_chunk(const nbd::Request& request, bool done, std::uint64_t offset, std::uint64_t length) {
    chunk_header(request, done, nbd::ChunkType::offset_hole, nbd::wire_size<nbd::OffsetHole>);
    small_payload(nbd::OffsetHole{offset, static_cast<std::uint32_t>(length)});
}

void Replies::data(const nbd::Request& request, Operation& operation, bool last) {
    const std::span<const Piece> pieces(operation.pieces.data(), operation.pieces.size());
    if (style_ == ReplyStyle::simple) {
        simple_header(request, nbd::Error::none);
        append(pieces);
        return;
    }
    const bool whole_hole =
        std::all_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.data == nullptr; });
    const bool fragment = (request.flags & nbd::command_flag::df) == 0;
    // Runs of data, with short holes among them, alternate with long holes.
    const auto is_hole = [&](const Piece& piece) {
        return piece.data == nullptr && (whole_hole || (fragment && piece.length >= smallest_hole));
    };
    std::uint64_t offset = operation.offset;
    for (auto at = pieces.begin(); at != pieces.end();) {
        const bool hole = is_hole(*at);
        const auto next = std::find_if(at, pieces.end(), [&](const Piece& p) { return is_hole(p) != hole; });
        const std::span<const Piece> run(at, next);
        const std::uint64_t length = total(run);
        const bool done = last && next == pieces.end();
        if (hole) {
            hole_chunk(request, done, offset, length);
        } else {
            data_chunk(request, done, offset, run);
        }
        offset += length;
        at = next;
    }
}

void Replies::status(const nbd::Request& request, std::uint32_t context, const std::vector<Extent>& extents,
                     bool last) {
    const auto send = [&](nbd::ChunkType type, const auto& payload) {
        const nbd::Buffer bytes = nbd::encode(payload);
        chunk_header(request, last, type, bytes.size());
        output_.add_copy(bytes);
        if (trace_) {
            trace_("<   " + nbd::describe(payload));
        }
    };
    if (style_ == ReplyStyle::extended) {
        nbd::BlockStatusExt payload{context, {}};
        for (const Extent& extent : extents) {
            payload.descriptors.push_back({extent.length, extent.status});
        }
        send(nbd::ChunkType::block_status_ext, payload);
    } else {
        nbd::BlockStatus payload{context, {}};
        for (const Extent& extent : extents) {
            payload.descriptors.push_back({static_cast<std::uint32_t>(extent.length), extent.status});
        }
        send(nbd::ChunkType::block_status, payload);
    }
}

std::uint8_t* Replies::size(const nbd::Request& request, const nbd::ResizeChunk& chunk, bool done) {
    const std::uint64_t excess = has(Fault::chunk_too_long) ? 4 : 0;
    chunk_header(request, done, nbd::ChunkType::resize, nbd::wire_size<nbd::ResizeChunk> + excess);
    std::uint8_t* const payload = output_.add_header(nbd::wire_size<nbd::ResizeChunk>);
    replace_size(payload, chunk);
    output_.add_zeroes(excess);
    return payload;
}

void Replies::replace_size(std::uint8_t* payload, const nbd::ResizeChunk& chunk) {
    constexpr std::uint32_t unknown_flag = 1U << 3;
    nbd::ResizeChunk sent = chunk;
    sent.flags |= has(Fault::chunk_unknown_flag) ? unknown_flag : 0;
    nbd::encode_fixed(payload, sent);
    if (trace_) {
        trace_("<   " + nbd::describe(sent));
    }
}

} // namespace refserver
