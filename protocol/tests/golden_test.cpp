// Every message against bytes that were written by hand from the layouts of the specification.

#include "protocol/tests/all_messages.hpp"
#include "protocol/tests/hex.hpp"

#include <gtest/gtest.h>

#include <set>
#include <typeinfo>

namespace nbd::test {
namespace {

std::set<std::string>& covered() {
    static std::set<std::string> types;
    return types;
}

/// What may follow the last byte of a message.
enum class End {
    closed, ///< nothing: any cut and any further byte is an error
    open,   ///< the last field takes whatever there is, byte by byte
};

template <class M>
void golden(const M& message, std::string_view text, End end = End::closed) {
    covered().insert(typeid(M).name());
    const Buffer bytes = hex(text);
    SCOPED_TRACE(text);
    EXPECT_EQ(encode(message), bytes);
    const Decoded<M> decoded = decode<M>(bytes);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().describe();
    EXPECT_EQ(*decoded, message);
    if (end == End::open) {
        return;
    }
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        const Decoded<M> cut = decode<M>(Bytes(bytes).first(length));
        ASSERT_TRUE(cut.has_error()) << "cut to " << length;
        EXPECT_EQ(cut.error().kind, Malformed::Kind::truncated) << "cut to " << length;
    }
    Buffer longer = bytes;
    longer.push_back(0);
    const Decoded<M> trailing = decode<M>(longer);
    ASSERT_TRUE(trailing.has_error());
    EXPECT_EQ(trailing.error(), (Malformed{Malformed::Kind::trailing, "end", 1}));
}

void greetings() {
    golden(GreetingStart{option_magic}, "4e42444d41474943 49484156454f5054");
    golden(GreetingStart{oldstyle_magic}, "4e42444d41474943 0000420281861253");
    golden(NewstyleGreeting{handshake_flag::fixed_newstyle | handshake_flag::no_zeroes},
           "'NBDMAGIC' 'IHAVEOPT' 0003");
    golden(OldstyleGreeting{0x0000000123456789, 0x0000,
                            transmission_flag::has_flags | transmission_flag::read_only},
           "4e42444d41474943 0000420281861253 0000000123456789 00000003");
    golden(OldstyleGreeting{1, 0x8001, 0x4002},
           "4e42444d41474943 0000420281861253 0000000000000001 80014002");
    golden(ClientFlags{client_flag::fixed_newstyle | client_flag::no_zeroes}, "00000003");
}

void option_headers() {
    golden(OptionRequest{Option::go, 13}, "49484156454f5054 00000007 0000000d");
    golden(OptionRequest{Option::export_name, 0xffffffff}, "'IHAVEOPT' 00000001 ffffffff");
    golden(OptionReply{Option::list, OptionReplyType::server, 8},
           "0003e889045565a9 00000003 00000002 00000008");
    golden(OptionReply{Option{0x12345678}, OptionReplyType::err_unsup, 0},
           "0003e889045565a9 12345678 80000001 00000000");
    golden(ExportNameReply{0x0102030405060708, 0x0d}, "0102030405060708 000d");
}

void option_requests() {
    golden(ExportNameRequest{"disk"}, "'disk'", End::open);
    golden(ExportNameRequest{}, "", End::open);
    golden(InfoRequest{"disk", {InfoType::export_, InfoType::block_size}}, "00000004 'disk' 0002 0000 0003");
    golden(InfoRequest{}, "00000000 0000");
    golden(MetaContextQuery{"base:"}, "00000005 'base:'");
    golden(MetaContextRequest{"d", {{"base:allocation"}, {"x-y:z"}}},
           "00000001 'd' 00000002 0000000f 'base:allocation' 00000005 'x-y:z'");
    golden(MetaContextRequest{}, "00000000 00000000");
}

void option_replies() {
    golden(ServerReply{"disk", "a disk"}, "00000004 'disk' 'a disk'", End::open);
    golden(ServerReply{}, "00000000", End::open);
    golden(OptionErrorReply{"no such option"}, "'no such option'", End::open);
    golden(InfoReplyStart{InfoType::block_size}, "0003");
    golden(InfoExport{InfoType::export_, 1048576, 0x0101}, "0000 0000000000100000 0101");
    golden(InfoText{InfoType::name, "disk"}, "0001 'disk'", End::open);
    golden(InfoText{InfoType::description, ""}, "0002", End::open);
    golden(InfoBlockSize{InfoType::block_size, 1, 4096, 33554432}, "0003 00000001 00001000 02000000");
    golden(MetaContextReply{0x0a0b0c0d, "base:allocation"}, "0a0b0c0d 'base:allocation'", End::open);
}

void requests() {
    golden(CompactRequest{command_flag::fua, Command::write, 0x1122334455667788, 512, 0xfffffffe},
           "25609513 0001 0001 1122334455667788 0000000000000200 fffffffe");
    golden(ExtendedRequest{command_flag::payload_len, Command::block_status, 0x1122334455667788, 512,
                           0x100000000},
           "21e41c71 0020 0007 1122334455667788 0000000000000200 0000000100000000");
    golden(BlockStatusQuery{0x200000000, {1, 0xfffffffe}}, "0000000200000000 00000001 fffffffe", End::open);
}

void replies() {
    golden(SimpleReply{Error::nospc, 0x1122334455667788}, "67446698 0000001c 1122334455667788");
    golden(StructuredChunk{reply_flag::done, ChunkType::offset_data, 0x1122334455667788, 9},
           "668e33ef 0001 0001 1122334455667788 00000009");
    golden(StructuredChunk{0, ChunkType::error_offset, 1, 14},
           "668e33ef 0000 8002 0000000000000001 0000000e");
    golden(ExtendedChunk{reply_flag::done, ChunkType::block_status_ext, 0x1122334455667788, 512, 24},
           "6e8a278c 0001 0006 1122334455667788 0000000000000200 0000000000000018");
}

void resize() {
    golden(InfoRequest{"d", {InfoType::resize}}, "00000001 'd' 0001 0004");
    golden(InfoResize{InfoType::resize,
                      resize_capability::explicit_ | resize_capability::zeroed | resize_capability::external,
                      65536, 4096, 0x100000000},
           "0004 0091 00010000 0000000000001000 0000000100000000");
    golden(InfoResize{}, "0004 0000 00000001 0000000000000000 ffffffffffffffff");
    // To 1 MiB + 1, durable and allocated.
    golden(CompactRequest{command_flag::fua | command_flag::no_hole, Command::resize, 2, 0x100001, 0},
           "25609513 0003 0008 0000000000000002 0000000000100001 00000000");
    golden(ExtendedRequest{0, Command::resize, 2, 0x7fffffffffffffff, 0},
           "21e41c71 0000 0008 0000000000000002 7fffffffffffffff 0000000000000000");
    golden(CompactRequest{command_flag::query, Command::resize, 3, 0, 0},
           "25609513 0080 0008 0000000000000003 0000000000000000 00000000");
    golden(ExtendedRequest{command_flag::query, Command::resize, 3, 0, 0},
           "21e41c71 0080 0008 0000000000000003 0000000000000000 0000000000000000");
    golden(CompactRequest{command_flag::notify, Command::resize, 4, 0, 10},
           "25609513 0100 0008 0000000000000004 0000000000000000 0000000a");
    golden(ExtendedRequest{command_flag::notify, Command::resize, 4, 0, 0x100000000},
           "21e41c71 0100 0008 0000000000000004 0000000000000000 0000000100000000");
    golden(CompactRequest{command_flag::cancel, Command::resize, 5, 4, 0},
           "25609513 0200 0008 0000000000000005 0000000000000004 00000000");
    golden(ExtendedRequest{command_flag::cancel, Command::resize, 5, 4, 0},
           "21e41c71 0200 0008 0000000000000005 0000000000000004 0000000000000000");
    golden(CompactRequest{command_flag::extend, Command::write, 6, 0x100000, 512},
           "25609513 0040 0001 0000000000000006 0000000000100000 00000200");
    golden(
        ExtendedRequest{command_flag::extend | command_flag::payload_len, Command::write, 6, 0x100000, 512},
        "21e41c71 0060 0001 0000000000000006 0000000000100000 0000000000000200");
    golden(CompactRequest{command_flag::extend, Command::write_zeroes, 7, 0x100000, 512},
           "25609513 0040 0006 0000000000000007 0000000000100000 00000200");
    // The reply: a chunk header and 12 bytes.
    golden(StructuredChunk{reply_flag::done, ChunkType::resize, 2, 12},
           "668e33ef 0001 0007 0000000000000002 0000000c");
    golden(ExtendedChunk{0, ChunkType::resize, 2, 0x100001, 12},
           "6e8a278c 0000 0007 0000000000000002 0000000000100001 000000000000000c");
    golden(ResizeChunk{0x100001, resize_flag::zeroed}, "0000000000100001 00000001");
    golden(ResizeChunk{0xffffffffffffffff, resize_flag::external | resize_flag::coalesced},
           "ffffffffffffffff 00000006");
}

void chunk_payloads() {
    golden(OffsetData{0x0102030405060708}, "0102030405060708");
    golden(OffsetHole{0x0102030405060708, 65536}, "0102030405060708 00010000");
    golden(StatusDescriptor{65536, 3}, "00010000 00000003");
    golden(BlockStatus{7, {{65536, 0}, {4096, 3}}}, "00000007 00010000 00000000 00001000 00000003",
           End::open);
    golden(StatusDescriptorExt{0x100000000, 1}, "0000000100000000 0000000000000001");
    golden(BlockStatusExt{7, {{0x100000000, 1}, {512, 0x8000000000000000}}},
           "00000007 00000002 0000000100000000 0000000000000001 0000000000000200 8000000000000000");
    golden(ErrorChunk{Error::io, "bad sector"}, "00000005 000a 'bad sector'");
    golden(ErrorChunk{Error::inval, ""}, "00000016 0000");
    golden(ErrorOffsetChunk{Error::io, "bad", 0x1000}, "00000005 0003 'bad' 0000000000001000");
    golden(AnyErrorChunk{Error::overflow, "x", {1, 2}}, "0000004b 0001 'x' 0102", End::open);
    golden(AnyErrorChunk{Error::overflow, "", {}}, "0000004b 0000", End::open);
}

TEST(Golden, EveryMessage) {
    greetings();
    option_headers();
    option_requests();
    option_replies();
    requests();
    replies();
    chunk_payloads();
    resize();
    AllMessages::for_each([]<class M>() { EXPECT_TRUE(covered().contains(typeid(M).name())) << M::title; });
}

} // namespace
} // namespace nbd::test
