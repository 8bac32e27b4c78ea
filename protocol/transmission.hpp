#pragma once

// The messages of the transmission phase: requests, simple replies, chunks of structured and extended
// replies, and the payloads of chunks.

#include "protocol/codec.hpp"
#include "protocol/numbers.hpp"

namespace nbd {

/// A compact request; a write is followed by `length` bytes of data (Request message).
struct CompactRequest {
    static constexpr std::string_view title = "request";

    std::uint16_t flags = 0; ///< `command_flag`
    Command type = Command::read;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("request_magic", request_magic);
        named(visitor, "flags", self.flags, command_flag_names);
        visitor.field("type", self.type);
        visitor.field("cookie", self.cookie);
        visitor.field("offset", self.offset);
        visitor.field("length", self.length);
    }
    bool operator==(const CompactRequest&) const = default;
};

/// An extended request; `length` bytes follow if the flag PAYLOAD_LEN is set, else it is an effect length.
/// Experimental: extended headers.
struct ExtendedRequest {
    static constexpr std::string_view title = "extended request";

    std::uint16_t flags = 0; ///< `command_flag`
    Command type = Command::read;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("extended_request_magic", extended_request_magic);
        named(visitor, "flags", self.flags, command_flag_names);
        visitor.field("type", self.type);
        visitor.field("cookie", self.cookie);
        visitor.field("offset", self.offset);
        visitor.field("length", self.length);
    }
    bool operator==(const ExtendedRequest&) const = default;
};

/// A simple reply; a successful one to a read is followed by the data (Simple reply message).
struct SimpleReply {
    static constexpr std::string_view title = "simple reply";

    Error error = Error::none;
    std::uint64_t cookie = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("simple_reply_magic", simple_reply_magic);
        visitor.field("error", self.error);
        visitor.field("cookie", self.cookie);
    }
    bool operator==(const SimpleReply&) const = default;
};

/// The header of a structured reply chunk; `length` bytes of payload follow.
struct StructuredChunk {
    static constexpr std::string_view title = "chunk";

    std::uint16_t flags = 0; ///< `reply_flag`
    ChunkType type = ChunkType::none;
    std::uint64_t cookie = 0;
    std::uint32_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("structured_reply_magic", structured_reply_magic);
        named(visitor, "flags", self.flags, reply_flag_names);
        visitor.field("type", self.type);
        visitor.field("cookie", self.cookie);
        visitor.field("length", self.length);
    }
    bool operator==(const StructuredChunk&) const = default;
};

/// The header of an extended reply chunk; `length` bytes of payload follow. Experimental: extended headers.
struct ExtendedChunk {
    static constexpr std::string_view title = "extended chunk";

    std::uint16_t flags = 0; ///< `reply_flag`
    ChunkType type = ChunkType::none;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0; ///< that of the request
    std::uint64_t length = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.magic("extended_reply_magic", extended_reply_magic);
        named(visitor, "flags", self.flags, reply_flag_names);
        visitor.field("type", self.type);
        visitor.field("cookie", self.cookie);
        visitor.field("offset", self.offset);
        visitor.field("length", self.length);
    }
    bool operator==(const ExtendedChunk&) const = default;
};

// ---- Payloads
// -----------------------------------------------------------------------------------------------

/// The start of the payload of NBD_REPLY_TYPE_OFFSET_DATA; the data follow.
struct OffsetData {
    static constexpr std::string_view title = "data";

    std::uint64_t offset = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("offset", self.offset);
    }
    bool operator==(const OffsetData&) const = default;
};

/// The payload of NBD_REPLY_TYPE_OFFSET_HOLE.
struct OffsetHole {
    static constexpr std::string_view title = "hole";

    std::uint64_t offset = 0;
    std::uint32_t length = 0; ///< must not be 0

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("offset", self.offset);
        visitor.field("length", self.length);
    }
    bool operator==(const OffsetHole&) const = default;
};

/// An extent of NBD_REPLY_TYPE_BLOCK_STATUS.
struct StatusDescriptor {
    static constexpr std::string_view title = "extent";

    std::uint32_t length = 0; ///< must not be 0
    std::uint32_t status = 0; ///< for base:allocation, `allocation_flag`

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("length", self.length);
        visitor.field("status", self.status);
    }
    bool operator==(const StatusDescriptor&) const = default;
};

/// The payload of NBD_REPLY_TYPE_BLOCK_STATUS.
struct BlockStatus {
    static constexpr std::string_view title = "block status";

    std::uint32_t context = 0; ///< the id that NBD_OPT_SET_META_CONTEXT gave
    std::vector<StatusDescriptor> descriptors;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("context", self.context);
        visitor.rest("descriptors", self.descriptors);
    }
    bool operator==(const BlockStatus&) const = default;
};

/// An extent of NBD_REPLY_TYPE_BLOCK_STATUS_EXT. Experimental: extended headers.
struct StatusDescriptorExt {
    static constexpr std::string_view title = "extent";

    std::uint64_t length = 0; ///< must not be 0
    std::uint64_t status = 0;

    template <class Self, class Visitor>
    static constexpr void fields(Self& self, Visitor& visitor) {
        visitor.field("length", self.length);
        visitor.field("status", self.status);
    }
    bool operator==(const StatusDescriptorExt&) const = default;
};

/// The payload of NBD_REPLY_TYPE_BLOCK_STATUS_EXT. Experimental: extended headers.
struct BlockStatusExt {
    static constexpr std::string_view title = "block status";

    std::uint32_t context = 0;
    std::vector<StatusDescriptorExt> descriptors;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("context", self.context);
        visitor.template list<std::uint32_t>("descriptors", self.descriptors);
    }
    bool operator==(const BlockStatusExt&) const = default;
};

/// The payload of a NBD_CMD_BLOCK_STATUS with PAYLOAD_LEN. Experimental: extended headers.
struct BlockStatusQuery {
    static constexpr std::string_view title = "block status query";

    std::uint64_t effect_length = 0;
    std::vector<std::uint32_t> contexts; ///< ids that the reply is to be limited to

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("effect_length", self.effect_length);
        visitor.rest("contexts", self.contexts);
    }
    bool operator==(const BlockStatusQuery&) const = default;
};

/// The payload of NBD_REPLY_TYPE_ERROR.
struct ErrorChunk {
    static constexpr std::string_view title = "error";

    Error error = Error::io; ///< must not be `none`
    std::string message;

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("error", self.error);
        visitor.template text<std::uint16_t>("message", self.message);
    }
    bool operator==(const ErrorChunk&) const = default;
};

/// The payload of NBD_REPLY_TYPE_ERROR_OFFSET.
struct ErrorOffsetChunk {
    static constexpr std::string_view title = "error";

    Error error = Error::io; ///< must not be `none`
    std::string message;
    std::uint64_t offset = 0; ///< where in the export the error happened

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("error", self.error);
        visitor.template text<std::uint16_t>("message", self.message);
        visitor.field("offset", self.offset);
    }
    bool operator==(const ErrorOffsetChunk&) const = default;
};

/// The payload of an error chunk of any type: one that is not known, or one with more fields than expected.
struct AnyErrorChunk {
    static constexpr std::string_view title = "error";

    Error error = Error::io; ///< must not be `none`
    std::string message;
    std::vector<std::uint8_t> remainder; ///< what the type adds behind the message

    template <class Self, class Visitor>
    static void fields(Self& self, Visitor& visitor) {
        visitor.field("error", self.error);
        visitor.template text<std::uint16_t>("message", self.message);
        visitor.rest("remainder", self.remainder);
    }
    bool operator==(const AnyErrorChunk&) const = default;
};

// ---- One view of both header styles
// -------------------------------------------------------------------------

/// Which headers a connection uses.
enum class HeaderStyle { compact, extended };

/// A request, whichever header it came with.
struct Request {
    std::uint16_t flags = 0;
    Command type = Command::read;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    bool operator==(const Request&) const = default;
};

/// A reply chunk's header, whichever style it came with.
struct Chunk {
    std::uint16_t flags = 0;
    ChunkType type = ChunkType::none;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0; ///< always 0 in compact style
    std::uint64_t length = 0;

    [[nodiscard]] bool done() const { return (flags & reply_flag::done) != 0; }
    bool operator==(const Chunk&) const = default;
};

/// The size of a request header, in bytes.
[[nodiscard]] constexpr std::size_t request_header_size(HeaderStyle style) {
    return style == HeaderStyle::compact ? wire_size<CompactRequest> : wire_size<ExtendedRequest>;
}

/// The size of a chunk header, in bytes.
[[nodiscard]] constexpr std::size_t chunk_header_size(HeaderStyle style) {
    return style == HeaderStyle::compact ? wire_size<StructuredChunk> : wire_size<ExtendedChunk>;
}

/// The largest of the headers of the transmission phase, in bytes.
inline constexpr std::size_t max_header_size = wire_size<ExtendedRequest>;

/// The request at the start of `bytes`.
[[nodiscard]] Decoded<Request> decode_request(Bytes bytes, HeaderStyle style);

/// Appends the request's header. Throws std::length_error in compact style if `length` does not fit 32 bits.
void encode_request_to(Buffer& out, const Request& request, HeaderStyle style);

/// The chunk header at the start of `bytes`.
[[nodiscard]] Decoded<Chunk> decode_chunk(Bytes bytes, HeaderStyle style);

/// Appends the chunk's header; in compact style without `offset`, and std::length_error is thrown if `length`
/// does not fit 32 bits.
void encode_chunk_to(Buffer& out, const Chunk& chunk, HeaderStyle style);

/// The number of payload bytes that follow the header of a request: the data of a write, and whatever
/// PAYLOAD_LEN announces with extended headers.
[[nodiscard]] constexpr std::uint64_t payload_length(const Request& request, HeaderStyle style) {
    const bool carries = style == HeaderStyle::compact ? request.type == Command::write
                                                       : (request.flags & command_flag::payload_len) != 0;
    return carries ? request.length : 0;
}

} // namespace nbd
