#pragma once

// What happens on a connection, as the rules get to see it. Each event comes with the state before it.

#include "harness/wire/state.hpp"

#include <optional>
#include <string_view>

namespace wire {

/// The server's greeting is complete.
struct GreetingEvent {
    const State& state;
    bool oldstyle = false;
    std::uint16_t handshake_flags = 0;
    bool padding_is_zero = true; ///< of an oldstyle greeting
};

/// The client's answer to a newstyle greeting.
struct ClientFlagsEvent {
    const State& state;
    std::uint32_t flags = 0;
};

/// A client's option, with its data. `option` has what could be decoded of them.
struct OptionEvent {
    const State& state; ///< `state.option` is the one before, if that is still under way
    const OpenOption& option;
    nbd::Bytes data;                         ///< empty where they are too long to be kept
    std::optional<nbd::Malformed> malformed; ///< what is wrong with the layout of the data
};

/// A server's reply to an option, with its data.
struct OptionReplyEvent {
    const State& state; ///< `state.option` has what came before; nothing if no option is under way
    nbd::OptionReply reply;
    nbd::Bytes data;                         ///< empty where they are too long to be kept
    std::optional<nbd::Malformed> malformed; ///< what is wrong with the layout of the data
    // What could be decoded, by the type of the reply.
    std::optional<nbd::ServerReply> server;
    std::optional<nbd::InfoType> info;
    std::optional<nbd::InfoExport> export_info;
    std::optional<nbd::InfoText> text;
    std::optional<nbd::InfoBlockSize> block;
    std::optional<nbd::InfoResize> resize;
    std::optional<nbd::MetaContextReply> context;

    /// True if it answers this option.
    [[nodiscard]] bool to(nbd::Option option) const { return state.option && state.option->option == option; }
    [[nodiscard]] bool is_error() const { return nbd::is_error(reply.type); }
};

/// A server told the size and flags of an export.
struct ExportEvent {
    const State& state;
    Telling telling = Telling::go;
    std::uint64_t size = 0; ///< bytes
    std::uint16_t flags = 0;
    bool padding_is_zero = true; ///< of a reply to NBD_OPT_EXPORT_NAME that has padding

    [[nodiscard]] bool has(std::uint16_t transmission_flag) const { return (flags & transmission_flag) != 0; }
};

/// A client's request; of a write, before its data.
struct RequestEvent {
    const State& state; ///< without this request
    const OpenRequest& open;
    bool cookie_in_use = false; ///< another open request has the same cookie
    /// The payload of NBD_CMD_BLOCK_STATUS, where it has one that could be decoded.
    const nbd::BlockStatusQuery* query = nullptr;
    bool query_malformed = false;

    [[nodiscard]] const nbd::Request& request() const { return open.request; }
    [[nodiscard]] bool is(nbd::Command command) const { return open.is(command); }
    [[nodiscard]] bool has(std::uint16_t command_flag) const { return open.has(command_flag); }
};

/// A simple reply; of a read, before its data.
struct SimpleReplyEvent {
    const State& state;
    nbd::SimpleReply reply;
    const OpenRequest* open = nullptr; ///< null if no open request has this cookie
};

/// The content of a chunk of NBD_REPLY_TYPE_OFFSET_DATA or NBD_REPLY_TYPE_OFFSET_HOLE.
struct Content {
    std::uint64_t offset = 0;
    std::uint64_t length = 0; ///< bytes of the export
    bool overlaps = false;    ///< something that came before in the same reply
};

/// The content of an error chunk.
struct ErrorContent {
    nbd::Error error = nbd::Error::none;
    std::string message;
    std::optional<std::uint64_t> offset; ///< of NBD_REPLY_TYPE_ERROR_OFFSET
};

/// What was found in the extents of a block status chunk, which may be very many.
struct StatusContent {
    std::uint32_t context = 0;
    std::uint64_t extents = 0;          ///< how many came
    std::uint64_t announced = 0;        ///< how many NBD_REPLY_TYPE_BLOCK_STATUS_EXT announced
    std::uint64_t empty = 0;            ///< how many have a length of 0
    std::uint64_t misaligned = 0;       ///< how many are no multiple of the minimum block size
    std::uint64_t reserved_bits = 0;    ///< those that any of them sets beyond the two of base:allocation
    std::uint64_t sum_without_last = 0; ///< bytes; at most 2^64-1
    std::uint64_t last = 0;             ///< bytes
};

/// A chunk of a reply, when all that is judged of it is there; of NBD_REPLY_TYPE_OFFSET_DATA before its data.
struct ChunkEvent {
    const State& state;
    nbd::Chunk chunk;
    bool extended = false;             ///< it has an extended header
    const OpenRequest* open = nullptr; ///< as it was before this chunk; null if no request has the cookie
    // By type; nothing where the length does not allow it.
    std::optional<Content> content;
    std::optional<ErrorContent> error;
    std::optional<StatusContent> status;
    std::optional<nbd::ResizeChunk> resize;
    bool malformed = false; ///< the payload is not laid out as its type wants

    [[nodiscard]] bool is(nbd::ChunkType type) const { return chunk.type == type; }
    /// True if it belongs to a request of this type.
    [[nodiscard]] bool to(nbd::Command command) const { return open && open->is(command); }
};

/// A reply is complete: a simple reply came, or a chunk with NBD_REPLY_FLAG_DONE.
struct ReplyEvent {
    const State& state;
    const OpenRequest& open; ///< with all that came
    bool simple = false;

    [[nodiscard]] bool is(nbd::Command command) const { return open.is(command); }
    [[nodiscard]] bool has(std::uint16_t command_flag) const { return open.has(command_flag); }
    [[nodiscard]] bool failed() const { return open.error.has_value(); }
    [[nodiscard]] bool failed_with(nbd::Error error) const { return open.error == error; }
};

/// One side has ended its direction of the connection, by itself.
struct EndEvent {
    const State& state;
    Side by = Side::client;
    End how = End::closed;
    bool in_read = false; ///< amid the data of a simple reply, whose read may have failed by now
};

/// A side sent bytes that are no message which it may send here.
struct StrayEvent {
    enum class Kind {
        greeting_magic,         ///< the server does not begin with NBDMAGIC
        greeting_style,         ///< and what follows is neither style
        option_magic,           ///< an option does not begin with IHAVEOPT
        option_reply_magic,     ///< a reply to an option does not begin with its magic number
        request_magic,          ///< a request does not begin with the magic number that was agreed
        reply_magic,            ///< nor does a reply
        option_in_transmission, ///< the client sends an option although it has entered an export
        padding,                ///< zeroes where there is no padding
        before_reply,           ///< the client sends requests, but the server has not let it in
        after_disconnect,       ///< the client sends something after NBD_CMD_DISC
        after_abort,            ///< or after NBD_OPT_ABORT
        reply_to_export_name,   ///< the server answers NBD_OPT_EXPORT_NAME by an option reply
        not_over_tls,           ///< TLS was agreed, and something comes that is no TLS
        no_tls_handshake,       ///< the client's TLS does not begin with a handshake
        goes_on_without_tls,    ///< the client sends something in clear after the handshake of TLS has failed
        aborts_without_tls,     ///< and this is NBD_OPT_ABORT
    };
    const State& state;
    Kind kind = Kind::request_magic;
    std::uint64_t found = 0; ///< the number in place of the magic number
};

} // namespace wire
