#pragma once

// Every number of the NBD protocol, in one place. Section names refer to the NBD specification
// (doc/proto.md); what is marked experimental comes from the branch `extension-ext-header` or is only
// reserved so far.

#include <cstdint>
#include <string>
#include <string_view>

namespace nbd {

// ---- Magic numbers
// ------------------------------------------------------------------------------------------

/// "NBDMAGIC", the first eight bytes of any server (Handshake).
inline constexpr std::uint64_t init_magic = 0x4e42444d41474943;
/// The second eight bytes of an oldstyle server (Oldstyle negotiation).
inline constexpr std::uint64_t oldstyle_magic = 0x00420281861253;
/// "IHAVEOPT": the second eight bytes of a newstyle server, and the start of every option request.
inline constexpr std::uint64_t option_magic = 0x49484156454f5054;
/// The start of every option reply (Fixed newstyle negotiation).
inline constexpr std::uint64_t option_reply_magic = 0x3e889045565a9;
/// The start of a compact request (Request message).
inline constexpr std::uint32_t request_magic = 0x25609513;
/// The start of a simple reply (Simple reply message).
inline constexpr std::uint32_t simple_reply_magic = 0x67446698;
/// The start of a structured reply chunk (Structured reply chunk message).
inline constexpr std::uint32_t structured_reply_magic = 0x668e33ef;
/// The start of an extended request. Experimental: extended headers.
inline constexpr std::uint32_t extended_request_magic = 0x21e41c71;
/// The start of an extended reply chunk. Experimental: extended headers.
inline constexpr std::uint32_t extended_reply_magic = 0x6e8a278c;

// ---- Sizes and limits
// ---------------------------------------------------------------------------------------

/// The port that IANA assigned to NBD.
inline constexpr std::uint16_t default_port = 10809;
/// Names, queries, descriptions and messages are at most this long, in bytes (Conventions).
inline constexpr std::uint32_t max_string = 4096;
/// Zero bytes that end an oldstyle greeting, and a reply to NBD_OPT_EXPORT_NAME unless NO_ZEROES was agreed.
inline constexpr std::uint32_t handshake_padding = 124;
/// Payloads up to this size work everywhere unless the server advertised less (Size constraints).
inline constexpr std::uint32_t default_max_payload = 32U * 1024 * 1024;
/// What a client may assume if the server advertised no block sizes (Size constraints).
inline constexpr std::uint32_t default_min_block = 512;
/// See `default_min_block`.
inline constexpr std::uint32_t default_preferred_block = 4096;
/// A server must be able to serve an unfragmented read of this size (NBD_CMD_FLAG_DF).
inline constexpr std::uint32_t min_df_read = 64U * 1024;
/// A server should not send more descriptors than this in one block status chunk.
inline constexpr std::uint32_t max_status_descriptors = 1U << 20;

// ---- Handshake
// ----------------------------------------------------------------------------------------------

/// Handshake flags, sent by the server (Handshake flags).
namespace handshake_flag {
inline constexpr std::uint16_t fixed_newstyle = 1U << 0;
inline constexpr std::uint16_t no_zeroes = 1U << 1;
} // namespace handshake_flag

/// Client flags, the client's answer to the handshake flags (Client flags).
namespace client_flag {
inline constexpr std::uint32_t fixed_newstyle = 1U << 0;
inline constexpr std::uint32_t no_zeroes = 1U << 1;
} // namespace client_flag

/// Transmission flags: what the server says of an export (Transmission flags).
namespace transmission_flag {
inline constexpr std::uint16_t has_flags = 1U << 0;
inline constexpr std::uint16_t read_only = 1U << 1;
inline constexpr std::uint16_t send_flush = 1U << 2;
inline constexpr std::uint16_t send_fua = 1U << 3;
inline constexpr std::uint16_t rotational = 1U << 4;
inline constexpr std::uint16_t send_trim = 1U << 5;
inline constexpr std::uint16_t send_write_zeroes = 1U << 6;
inline constexpr std::uint16_t send_df = 1U << 7;
inline constexpr std::uint16_t can_multi_conn = 1U << 8;
inline constexpr std::uint16_t send_resize = 1U << 9; ///< experimental: RESIZE
inline constexpr std::uint16_t send_cache = 1U << 10;
inline constexpr std::uint16_t send_fast_zero = 1U << 11;
inline constexpr std::uint16_t block_status_payload = 1U << 12; ///< experimental: extended headers
} // namespace transmission_flag

/// Options, sent by the client (Option types).
enum class Option : std::uint32_t {
    export_name = 1,
    abort = 2,
    list = 3,
    peek_export = 4, ///< withdrawn
    starttls = 5,
    info = 6,
    go = 7,
    structured_reply = 8,
    list_meta_context = 9,
    set_meta_context = 10,
    extended_headers = 11, ///< experimental
};

/// Set in every option reply type that is an error.
inline constexpr std::uint32_t option_error_bit = 1U << 31;

/// Option reply types (Option reply types).
enum class OptionReplyType : std::uint32_t {
    ack = 1,
    server = 2,
    info = 3,
    meta_context = 4,
    err_unsup = option_error_bit + 1,
    err_policy = option_error_bit + 2,
    err_invalid = option_error_bit + 3,
    err_platform = option_error_bit + 4,
    err_tls_reqd = option_error_bit + 5,
    err_unknown = option_error_bit + 6,
    err_shutdown = option_error_bit + 7,
    err_block_size_reqd = option_error_bit + 8,
    err_too_big = option_error_bit + 9,
    err_ext_header_reqd = option_error_bit + 10, ///< experimental: extended headers
};

/// True for the reply types that end an option with an error.
[[nodiscard]] constexpr bool is_error(OptionReplyType type) {
    return (static_cast<std::uint32_t>(type) & option_error_bit) != 0;
}

/// Information types (NBD_REP_INFO).
enum class InfoType : std::uint16_t {
    export_ = 0,
    name = 1,
    description = 2,
    block_size = 3,
    resize = 4, ///< experimental: RESIZE
};

// ---- Transmission
// -------------------------------------------------------------------------------------------

/// Request types (Request types).
enum class Command : std::uint16_t {
    read = 0,
    write = 1,
    disc = 2,
    flush = 3,
    trim = 4,
    cache = 5,
    write_zeroes = 6,
    block_status = 7,
    resize = 8, ///< experimental: RESIZE
};

/// Command flags (Command flags).
namespace command_flag {
inline constexpr std::uint16_t fua = 1U << 0;
inline constexpr std::uint16_t no_hole = 1U << 1;
inline constexpr std::uint16_t df = 1U << 2;
inline constexpr std::uint16_t req_one = 1U << 3;
inline constexpr std::uint16_t fast_zero = 1U << 4;
inline constexpr std::uint16_t payload_len = 1U << 5; ///< experimental: extended headers
inline constexpr std::uint16_t extend = 1U << 6;      ///< experimental: RESIZE; on writes
inline constexpr std::uint16_t query = 1U << 7;       ///< experimental: RESIZE
inline constexpr std::uint16_t notify = 1U << 8;      ///< experimental: RESIZE
inline constexpr std::uint16_t cancel = 1U << 9;      ///< experimental: RESIZE
} // namespace command_flag

/// Flags of a structured or extended reply chunk (Structured reply flags).
namespace reply_flag {
inline constexpr std::uint16_t done = 1U << 0;
} // namespace reply_flag

/// Set in every chunk type that is an error.
inline constexpr std::uint16_t chunk_error_bit = 1U << 15;

/// Types of reply chunks (Structured reply types).
enum class ChunkType : std::uint16_t {
    none = 0,
    offset_data = 1,
    offset_hole = 2,
    block_status = 5,
    block_status_ext = 6, ///< experimental: extended headers
    resize = 7,           ///< experimental: RESIZE
    error = chunk_error_bit + 1,
    error_offset = chunk_error_bit + 2,
};

/// True for the chunk types that report an error, unknown ones included.
[[nodiscard]] constexpr bool is_error(ChunkType type) {
    return (static_cast<std::uint16_t>(type) & chunk_error_bit) != 0;
}

/// Error values (Error values). Others may arrive; they are to be treated as `inval`.
enum class Error : std::uint32_t {
    none = 0,
    perm = 1,
    io = 5,
    nomem = 12,
    inval = 22,
    nospc = 28,
    overflow = 75,
    notsup = 95,
    shutdown = 108,
};

// ---- Metadata contexts
// --------------------------------------------------------------------------------------

/// The metadata context that tells holes and zeroes (`base:allocation` metadata context).
inline constexpr std::string_view base_allocation = "base:allocation";

/// Status flags of `base:allocation`.
namespace allocation_flag {
inline constexpr std::uint32_t hole = 1U << 0;
inline constexpr std::uint32_t zero = 1U << 1;
} // namespace allocation_flag

// ---- RESIZE, experimental (docs/resize-extension.md)
// -------------------------------------------------------------------------------------------

/// What NBD_INFO_RESIZE says an export can do on this connection (NBD_INFO_RESIZE).
namespace resize_capability {
inline constexpr std::uint16_t explicit_ = 1U << 0;
inline constexpr std::uint16_t shrink = 1U << 1;
inline constexpr std::uint16_t automatic = 1U << 2;
inline constexpr std::uint16_t automatic_implicit = 1U << 3;
inline constexpr std::uint16_t zeroed = 1U << 4;
inline constexpr std::uint16_t query = 1U << 5;
inline constexpr std::uint16_t notify = 1U << 6;
inline constexpr std::uint16_t external = 1U << 7;
} // namespace resize_capability

/// Flags of NBD_REPLY_TYPE_RESIZE (NBD_REPLY_TYPE_RESIZE).
namespace resize_flag {
inline constexpr std::uint32_t zeroed = 1U << 0;
inline constexpr std::uint32_t external = 1U << 1;
inline constexpr std::uint32_t coalesced = 1U << 2;
} // namespace resize_flag

// ---- Names
// --------------------------------------------------------------------------------------------------

// The name that the specification gives to a value, "NBD_OPT_GO"; for a value it does not know, one that
// tells the number, "NBD_OPT_0x4d2".
[[nodiscard]] std::string name(Option option);
[[nodiscard]] std::string name(OptionReplyType type);
[[nodiscard]] std::string name(InfoType type);
[[nodiscard]] std::string name(Command command);
[[nodiscard]] std::string name(ChunkType type);
[[nodiscard]] std::string name(Error error);

/// What the second word of a greeting announces: "newstyle", "oldstyle", else the number in hex.
[[nodiscard]] std::string greeting_style_name(std::uint64_t style);

// The names of the bits that are set, "NBD_FLAG_HAS_FLAGS|NBD_FLAG_READ_ONLY"; "0" where none is.
[[nodiscard]] std::string handshake_flag_names(std::uint16_t flags);
[[nodiscard]] std::string client_flag_names(std::uint32_t flags);
[[nodiscard]] std::string transmission_flag_names(std::uint16_t flags);
[[nodiscard]] std::string command_flag_names(std::uint16_t flags);
[[nodiscard]] std::string reply_flag_names(std::uint16_t flags);
[[nodiscard]] std::string allocation_flag_names(std::uint32_t flags); ///< status flags of `base:allocation`
[[nodiscard]] std::string resize_capability_names(std::uint16_t capabilities);
[[nodiscard]] std::string resize_flag_names(std::uint32_t flags);

} // namespace nbd
