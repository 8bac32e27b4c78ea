// Every number, against a table typed from the specification's text and not from the header.

#include "protocol/handshake.hpp"
#include "protocol/resize.hpp"
#include "protocol/transmission.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace nbd {
namespace {

std::string ascii(std::uint64_t value) {
    std::string text;
    for (int shift = 56; shift >= 0; shift -= 8) {
        text += static_cast<char>(value >> shift & 0xff);
    }
    return text;
}

TEST(Numbers, MagicNumbers) {
    EXPECT_EQ(ascii(init_magic), "NBDMAGIC");
    EXPECT_EQ(ascii(option_magic), "IHAVEOPT");
    EXPECT_EQ(init_magic, 0x4e42444d41474943U);
    EXPECT_EQ(oldstyle_magic, 0x00420281861253U);
    EXPECT_EQ(option_magic, 0x49484156454F5054U);
    EXPECT_EQ(option_reply_magic, 0x3e889045565a9U);
    EXPECT_EQ(request_magic, 0x25609513U);
    EXPECT_EQ(simple_reply_magic, 0x67446698U);
    EXPECT_EQ(structured_reply_magic, 0x668e33efU);
    EXPECT_EQ(extended_request_magic, 0x21e41c71U);
    EXPECT_EQ(extended_reply_magic, 0x6e8a278cU);
}

TEST(Numbers, SizesAndLimits) {
    EXPECT_EQ(default_port, 10809);
    EXPECT_EQ(max_string, 4096U);
    EXPECT_EQ(handshake_padding, 124U);
    EXPECT_EQ(default_max_payload, 33'554'432U);
    EXPECT_EQ(default_min_block, 512U);
    EXPECT_EQ(default_preferred_block, 4096U);
    EXPECT_EQ(min_df_read, 65'536U);
    EXPECT_EQ(max_status_descriptors, 1'048'576U);
}

TEST(Numbers, HeaderSizes) {
    EXPECT_EQ(wire_size<GreetingStart>, (64U + 64) / 8);
    EXPECT_EQ(wire_size<NewstyleGreeting>, (64U + 64 + 16) / 8);
    EXPECT_EQ(wire_size<OldstyleGreeting>, (64U + 64 + 64 + 32) / 8);
    EXPECT_EQ(wire_size<ClientFlags>, 32U / 8);
    EXPECT_EQ(wire_size<OptionRequest>, (64U + 32 + 32) / 8);
    EXPECT_EQ(wire_size<OptionReply>, (64U + 32 + 32 + 32) / 8);
    EXPECT_EQ(wire_size<ExportNameReply>, (64U + 16) / 8);
    EXPECT_EQ(wire_size<InfoReplyStart>, 2U);
    EXPECT_EQ(wire_size<InfoExport>, 12U);
    EXPECT_EQ(wire_size<InfoBlockSize>, 14U);
    EXPECT_EQ(wire_size<InfoResize>, 24U);
    EXPECT_EQ(wire_size<ResizeChunk>, 12U);
    EXPECT_EQ(wire_size<CompactRequest>, (32U + 16 + 16 + 64 + 64 + 32) / 8);
    EXPECT_EQ(wire_size<ExtendedRequest>, 32U);
    EXPECT_EQ(wire_size<SimpleReply>, 16U);
    EXPECT_EQ(wire_size<StructuredChunk>, 20U);
    EXPECT_EQ(wire_size<ExtendedChunk>, 32U);
    EXPECT_EQ(wire_size<OffsetData>, 8U);
    EXPECT_EQ(wire_size<OffsetHole>, 12U);
    EXPECT_EQ(wire_size<StatusDescriptor>, 8U);
    EXPECT_EQ(wire_size<StatusDescriptorExt>, 16U);
    EXPECT_EQ(request_header_size(HeaderStyle::compact), 28U);
    EXPECT_EQ(request_header_size(HeaderStyle::extended), 32U);
    EXPECT_EQ(chunk_header_size(HeaderStyle::compact), 20U);
    EXPECT_EQ(chunk_header_size(HeaderStyle::extended), 32U);
    EXPECT_EQ(max_header_size, 32U);
}

template <class Enum>
struct Row {
    Enum value;
    std::uint64_t number;
    std::string_view name;
};

template <class Enum>
void expect_rows(std::initializer_list<Row<Enum>> rows) {
    for (const Row<Enum>& row : rows) {
        EXPECT_EQ(static_cast<std::uint64_t>(row.value), row.number) << row.name;
        EXPECT_EQ(name(row.value), row.name);
    }
}

TEST(Numbers, Options) {
    expect_rows<Option>({
        {Option::export_name, 1, "NBD_OPT_EXPORT_NAME"},
        {Option::abort, 2, "NBD_OPT_ABORT"},
        {Option::list, 3, "NBD_OPT_LIST"},
        {Option::peek_export, 4, "NBD_OPT_PEEK_EXPORT"},
        {Option::starttls, 5, "NBD_OPT_STARTTLS"},
        {Option::info, 6, "NBD_OPT_INFO"},
        {Option::go, 7, "NBD_OPT_GO"},
        {Option::structured_reply, 8, "NBD_OPT_STRUCTURED_REPLY"},
        {Option::list_meta_context, 9, "NBD_OPT_LIST_META_CONTEXT"},
        {Option::set_meta_context, 10, "NBD_OPT_SET_META_CONTEXT"},
        {Option::extended_headers, 11, "NBD_OPT_EXTENDED_HEADERS"},
        {Option{12}, 12, "NBD_OPT_0xc"},
    });
}

TEST(Numbers, OptionReplyTypes) {
    constexpr std::uint64_t error = 2'147'483'648; // 2^31
    expect_rows<OptionReplyType>({
        {OptionReplyType::ack, 1, "NBD_REP_ACK"},
        {OptionReplyType::server, 2, "NBD_REP_SERVER"},
        {OptionReplyType::info, 3, "NBD_REP_INFO"},
        {OptionReplyType::meta_context, 4, "NBD_REP_META_CONTEXT"},
        {OptionReplyType::err_unsup, error + 1, "NBD_REP_ERR_UNSUP"},
        {OptionReplyType::err_policy, error + 2, "NBD_REP_ERR_POLICY"},
        {OptionReplyType::err_invalid, error + 3, "NBD_REP_ERR_INVALID"},
        {OptionReplyType::err_platform, error + 4, "NBD_REP_ERR_PLATFORM"},
        {OptionReplyType::err_tls_reqd, error + 5, "NBD_REP_ERR_TLS_REQD"},
        {OptionReplyType::err_unknown, error + 6, "NBD_REP_ERR_UNKNOWN"},
        {OptionReplyType::err_shutdown, error + 7, "NBD_REP_ERR_SHUTDOWN"},
        {OptionReplyType::err_block_size_reqd, error + 8, "NBD_REP_ERR_BLOCK_SIZE_REQD"},
        {OptionReplyType::err_too_big, error + 9, "NBD_REP_ERR_TOO_BIG"},
        {OptionReplyType::err_ext_header_reqd, error + 10, "NBD_REP_ERR_EXT_HEADER_REQD"},
        {OptionReplyType{5}, 5, "NBD_REP_0x5"},
    });
    EXPECT_FALSE(is_error(OptionReplyType::meta_context));
    EXPECT_FALSE(is_error(OptionReplyType{0x7fffffff}));
    EXPECT_TRUE(is_error(OptionReplyType::err_unsup));
    EXPECT_TRUE(is_error(OptionReplyType{0xffffffff}));
}

TEST(Numbers, InfoTypes) {
    expect_rows<InfoType>({
        {InfoType::export_, 0, "NBD_INFO_EXPORT"},
        {InfoType::name, 1, "NBD_INFO_NAME"},
        {InfoType::description, 2, "NBD_INFO_DESCRIPTION"},
        {InfoType::block_size, 3, "NBD_INFO_BLOCK_SIZE"},
        {InfoType::resize, 4, "NBD_INFO_RESIZE"},
        {InfoType{0xffff}, 65'535, "NBD_INFO_0xffff"},
    });
}

TEST(Numbers, Commands) {
    expect_rows<Command>({
        {Command::read, 0, "NBD_CMD_READ"},
        {Command::write, 1, "NBD_CMD_WRITE"},
        {Command::disc, 2, "NBD_CMD_DISC"},
        {Command::flush, 3, "NBD_CMD_FLUSH"},
        {Command::trim, 4, "NBD_CMD_TRIM"},
        {Command::cache, 5, "NBD_CMD_CACHE"},
        {Command::write_zeroes, 6, "NBD_CMD_WRITE_ZEROES"},
        {Command::block_status, 7, "NBD_CMD_BLOCK_STATUS"},
        {Command::resize, 8, "NBD_CMD_RESIZE"},
        {Command{9}, 9, "NBD_CMD_0x9"},
    });
}

TEST(Numbers, ChunkTypes) {
    expect_rows<ChunkType>({
        {ChunkType::none, 0, "NBD_REPLY_TYPE_NONE"},
        {ChunkType::offset_data, 1, "NBD_REPLY_TYPE_OFFSET_DATA"},
        {ChunkType::offset_hole, 2, "NBD_REPLY_TYPE_OFFSET_HOLE"},
        {ChunkType::block_status, 5, "NBD_REPLY_TYPE_BLOCK_STATUS"},
        {ChunkType::block_status_ext, 6, "NBD_REPLY_TYPE_BLOCK_STATUS_EXT"},
        {ChunkType::resize, 7, "NBD_REPLY_TYPE_RESIZE"},
        {ChunkType::error, 32'768 + 1, "NBD_REPLY_TYPE_ERROR"},
        {ChunkType::error_offset, 32'768 + 2, "NBD_REPLY_TYPE_ERROR_OFFSET"},
        {ChunkType{3}, 3, "NBD_REPLY_TYPE_0x3"},
    });
    EXPECT_FALSE(is_error(ChunkType::block_status_ext));
    EXPECT_FALSE(is_error(ChunkType{0x7fff}));
    EXPECT_TRUE(is_error(ChunkType::error));
    EXPECT_TRUE(is_error(ChunkType{0xffff}));
}

TEST(Numbers, Errors) {
    expect_rows<Error>({
        {Error::perm, 1, "NBD_EPERM"},
        {Error::io, 5, "NBD_EIO"},
        {Error::nomem, 12, "NBD_ENOMEM"},
        {Error::inval, 22, "NBD_EINVAL"},
        {Error::nospc, 28, "NBD_ENOSPC"},
        {Error::overflow, 75, "NBD_EOVERFLOW"},
        {Error::notsup, 95, "NBD_ENOTSUP"},
        {Error::shutdown, 108, "NBD_ESHUTDOWN"},
        {Error{2}, 2, "NBD_0x2"},
    });
    EXPECT_EQ(static_cast<std::uint32_t>(Error::none), 0U);
}

template <class Flags>
struct Bit {
    Flags flag;
    int bit;
    std::string_view name;
};

template <class Flags>
void expect_bits(std::string (*names)(Flags), std::initializer_list<Bit<Flags>> bits) {
    for (const Bit<Flags>& bit : bits) {
        EXPECT_EQ(bit.flag, Flags{1} << bit.bit) << bit.name;
        EXPECT_EQ(names(bit.flag), bit.name);
    }
    EXPECT_EQ(names(0), "0");
}

TEST(Numbers, Flags) {
    expect_bits<std::uint16_t>(handshake_flag_names,
                               {
                                   {handshake_flag::fixed_newstyle, 0, "NBD_FLAG_FIXED_NEWSTYLE"},
                                   {handshake_flag::no_zeroes, 1, "NBD_FLAG_NO_ZEROES"},
                               });
    expect_bits<std::uint32_t>(client_flag_names,
                               {
                                   {client_flag::fixed_newstyle, 0, "NBD_FLAG_C_FIXED_NEWSTYLE"},
                                   {client_flag::no_zeroes, 1, "NBD_FLAG_C_NO_ZEROES"},
                               });
    using namespace transmission_flag;
    expect_bits<std::uint16_t>(transmission_flag_names,
                               {
                                   {has_flags, 0, "NBD_FLAG_HAS_FLAGS"},
                                   {read_only, 1, "NBD_FLAG_READ_ONLY"},
                                   {send_flush, 2, "NBD_FLAG_SEND_FLUSH"},
                                   {send_fua, 3, "NBD_FLAG_SEND_FUA"},
                                   {rotational, 4, "NBD_FLAG_ROTATIONAL"},
                                   {send_trim, 5, "NBD_FLAG_SEND_TRIM"},
                                   {send_write_zeroes, 6, "NBD_FLAG_SEND_WRITE_ZEROES"},
                                   {send_df, 7, "NBD_FLAG_SEND_DF"},
                                   {can_multi_conn, 8, "NBD_FLAG_CAN_MULTI_CONN"},
                                   {send_resize, 9, "NBD_FLAG_SEND_RESIZE"},
                                   {send_cache, 10, "NBD_FLAG_SEND_CACHE"},
                                   {send_fast_zero, 11, "NBD_FLAG_SEND_FAST_ZERO"},
                                   {block_status_payload, 12, "NBD_FLAG_BLOCK_STATUS_PAYLOAD"},
                               });
    expect_bits<std::uint16_t>(command_flag_names,
                               {
                                   {command_flag::fua, 0, "NBD_CMD_FLAG_FUA"},
                                   {command_flag::no_hole, 1, "NBD_CMD_FLAG_NO_HOLE"},
                                   {command_flag::df, 2, "NBD_CMD_FLAG_DF"},
                                   {command_flag::req_one, 3, "NBD_CMD_FLAG_REQ_ONE"},
                                   {command_flag::fast_zero, 4, "NBD_CMD_FLAG_FAST_ZERO"},
                                   {command_flag::payload_len, 5, "NBD_CMD_FLAG_PAYLOAD_LEN"},
                                   {command_flag::extend, 6, "NBD_CMD_FLAG_EXTEND"},
                                   {command_flag::query, 7, "NBD_CMD_FLAG_QUERY"},
                                   {command_flag::notify, 8, "NBD_CMD_FLAG_NOTIFY"},
                                   {command_flag::cancel, 9, "NBD_CMD_FLAG_CANCEL"},
                               });
    expect_bits<std::uint16_t>(reply_flag_names, {{reply_flag::done, 0, "NBD_REPLY_FLAG_DONE"}});
    expect_bits<std::uint32_t>(allocation_flag_names, {
                                                          {allocation_flag::hole, 0, "NBD_STATE_HOLE"},
                                                          {allocation_flag::zero, 1, "NBD_STATE_ZERO"},
                                                      });
}

TEST(Numbers, Resize) {
    expect_bits<std::uint16_t>(resize_capability_names,
                               {
                                   {resize_capability::explicit_, 0, "EXPLICIT"},
                                   {resize_capability::shrink, 1, "SHRINK"},
                                   {resize_capability::automatic, 2, "AUTO"},
                                   {resize_capability::automatic_implicit, 3, "AUTO_IMPLICIT"},
                                   {resize_capability::zeroed, 4, "ZEROED"},
                                   {resize_capability::query, 5, "QUERY"},
                                   {resize_capability::notify, 6, "NOTIFY"},
                                   {resize_capability::external, 7, "EXTERNAL"},
                               });
    expect_bits<std::uint32_t>(resize_flag_names, {{resize_flag::zeroed, 0, "ZEROED"},
                                                   {resize_flag::external, 1, "EXTERNAL"},
                                                   {resize_flag::coalesced, 2, "COALESCED"}});
    EXPECT_EQ(max_resize, 0x7fffffffffffffffU);
}

TEST(Numbers, FlagsTogetherAndUnknownOnes) {
    EXPECT_EQ(transmission_flag_names(0x8003), "NBD_FLAG_HAS_FLAGS|NBD_FLAG_READ_ONLY|NBD_FLAG_bit15");
    EXPECT_EQ(client_flag_names(0x80000000), "NBD_FLAG_C_bit31");
}

TEST(Numbers, MetadataContext) {
    EXPECT_EQ(base_allocation, "base:allocation");
}

} // namespace
} // namespace nbd
