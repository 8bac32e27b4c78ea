#include "protocol/transmission.hpp"

#include <limits>
#include <stdexcept>

namespace nbd {
namespace {

std::uint32_t compact_length(std::uint64_t length) {
    if (length > std::numeric_limits<std::uint32_t>::max()) {
        throw std::length_error("a length beyond 32 bits needs extended headers");
    }
    return static_cast<std::uint32_t>(length);
}

// Compact and extended headers have the same fields under the same names; only widths differ.

template <class Header>
Decoded<Request> as_request(Bytes bytes) {
    const Decoded<Header> header = decode_prefix<Header>(bytes);
    if (!header) {
        return header.error();
    }
    return Request{header->flags, header->type, header->cookie, header->offset, header->length};
}

} // namespace

Decoded<Request> decode_request(Bytes bytes, HeaderStyle style) {
    return style == HeaderStyle::compact ? as_request<CompactRequest>(bytes)
                                         : as_request<ExtendedRequest>(bytes);
}

void encode_request_to(Buffer& out, const Request& request, HeaderStyle style) {
    if (style == HeaderStyle::compact) {
        encode_to(out, CompactRequest{request.flags, request.type, request.cookie, request.offset,
                                      compact_length(request.length)});
    } else {
        encode_to(out, ExtendedRequest{request.flags, request.type, request.cookie, request.offset,
                                       request.length});
    }
}

Decoded<Chunk> decode_chunk(Bytes bytes, HeaderStyle style) {
    if (style == HeaderStyle::compact) {
        const Decoded<StructuredChunk> header = decode_prefix<StructuredChunk>(bytes);
        if (!header) {
            return header.error();
        }
        return Chunk{header->flags, header->type, header->cookie, 0, header->length};
    }
    const Decoded<ExtendedChunk> header = decode_prefix<ExtendedChunk>(bytes);
    if (!header) {
        return header.error();
    }
    return Chunk{header->flags, header->type, header->cookie, header->offset, header->length};
}

void encode_chunk_to(Buffer& out, const Chunk& chunk, HeaderStyle style) {
    if (style == HeaderStyle::compact) {
        encode_to(out, StructuredChunk{chunk.flags, chunk.type, chunk.cookie, compact_length(chunk.length)});
    } else {
        encode_to(out, ExtendedChunk{chunk.flags, chunk.type, chunk.cookie, chunk.offset, chunk.length});
    }
}

} // namespace nbd
