#include "protocol/describe.hpp"
#include "protocol/handshake.hpp"

#include <gtest/gtest.h>

namespace nbd {
namespace {

TEST(Describe, Handshake) {
    EXPECT_EQ(describe(GreetingStart{}), "greeting style=newstyle");
    EXPECT_EQ(describe(GreetingStart{oldstyle_magic}), "greeting style=oldstyle");
    EXPECT_EQ(describe(GreetingStart{0x1234}), "greeting style=0x1234");
    EXPECT_EQ(describe(NewstyleGreeting{3}),
              "newstyle greeting handshake_flags=NBD_FLAG_FIXED_NEWSTYLE|NBD_FLAG_NO_ZEROES");
    EXPECT_EQ(describe(OldstyleGreeting{1024, 0, 3}),
              "oldstyle greeting size=1024 handshake_flags=0 "
              "transmission_flags=NBD_FLAG_HAS_FLAGS|NBD_FLAG_READ_ONLY");
    EXPECT_EQ(describe(ClientFlags{1}), "client flags flags=NBD_FLAG_C_FIXED_NEWSTYLE");
    EXPECT_EQ(describe(OptionRequest{Option::go, 13}), "option request NBD_OPT_GO length=13");
    EXPECT_EQ(describe(OptionReply{Option::go, OptionReplyType::err_unknown, 0}),
              "option reply NBD_OPT_GO NBD_REP_ERR_UNKNOWN length=0");
    EXPECT_EQ(describe(InfoRequest{"a\"b\n", {InfoType::export_, InfoType::block_size}}),
              "information request export_name=\"a\\\"b\\x0a\" "
              "information_requests=[NBD_INFO_EXPORT, NBD_INFO_BLOCK_SIZE]");
    EXPECT_EQ(describe(MetaContextRequest{"", {{"base:"}}}),
              "metadata context request export_name=\"\" queries=[query=\"base:\"]");
    EXPECT_EQ(describe(InfoBlockSize{}),
              "information NBD_INFO_BLOCK_SIZE minimum=1 preferred=4096 maximum=33554432");
}

TEST(Describe, Transmission) {
    EXPECT_EQ(describe(CompactRequest{command_flag::fua, Command::write, 7, 512, 1024}),
              "request NBD_CMD_WRITE flags=NBD_CMD_FLAG_FUA cookie=7 offset=512 length=1024");
    EXPECT_EQ(describe(Request{0, Command{99}, 7, 512, 1024}),
              "request NBD_CMD_0x63 flags=0 cookie=7 offset=512 length=1024");
    EXPECT_EQ(describe(SimpleReply{Error::inval, 7}), "simple reply error=NBD_EINVAL cookie=7");
    EXPECT_EQ(describe(StructuredChunk{reply_flag::done, ChunkType::none, 7, 0}),
              "chunk NBD_REPLY_TYPE_NONE flags=NBD_REPLY_FLAG_DONE cookie=7 length=0");
    EXPECT_EQ(describe(Chunk{0, ChunkType::error, 7, 512, 6}),
              "chunk NBD_REPLY_TYPE_ERROR flags=0 cookie=7 offset=512 length=6");
    EXPECT_EQ(describe(BlockStatus{1, {{512, 0}, {1024, 3}}}),
              "block status context=1 descriptors=[length=512 status=0, length=1024 status=3]");
    EXPECT_EQ(describe(BlockStatusQuery{8, {1, 2}}), "block status query effect_length=8 contexts=[1, 2]");
}

TEST(Describe, LongContentIsCut) {
    EXPECT_EQ(describe(OptionErrorReply{std::string(300, 'x')}),
              "option error message=\"" + std::string(256, 'x') + "\"+44 bytes");
    EXPECT_EQ(describe(BlockStatusQuery{1, std::vector<std::uint32_t>(18, 5)}),
              "block status query effect_length=1 "
              "contexts=[5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 2 more]");
}

} // namespace
} // namespace nbd
