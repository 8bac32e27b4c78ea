// Bytes from somebody who errs or lies.

#include "protocol/tests/all_messages.hpp"
#include "protocol/tests/hex.hpp"
#include "protocol/tests/largest_allocation.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace nbd::test {
namespace {

constexpr auto truncated = Malformed::Kind::truncated;
constexpr auto wrong_magic = Malformed::Kind::wrong_magic;

template <class M>
Malformed error_of(std::string_view text) {
    const Decoded<M> decoded = decode<M>(hex(text));
    EXPECT_TRUE(decoded.has_error()) << text;
    return decoded.has_error() ? decoded.error() : Malformed{};
}

TEST(DecodeErrors, TheFieldThatIsCutIsNamed) {
    EXPECT_EQ(error_of<ClientFlags>(""), (Malformed{truncated, "flags", 0}));
    EXPECT_EQ(error_of<OptionRequest>("49484156454f5054 00000007 000000"),
              (Malformed{truncated, "length", 0}));
}

TEST(DecodeErrors, WrongMagic) {
    EXPECT_EQ(error_of<NewstyleGreeting>("4e42444d41474942 49484156454f5054 0000"),
              (Malformed{wrong_magic, "init_magic", 0x4e42444d41474942}));
    EXPECT_EQ(error_of<NewstyleGreeting>("4e42444d41474943 0000420281861253 0000"),
              (Malformed{wrong_magic, "option_magic", oldstyle_magic}));
    EXPECT_EQ(error_of<OldstyleGreeting>("4e42444d41474943 49484156454f5054 0000000000000000 00000000"),
              (Malformed{wrong_magic, "oldstyle_magic", option_magic}));
    EXPECT_EQ(error_of<OptionRequest>("49484156454f5053 00000001 00000000"),
              (Malformed{wrong_magic, "option_magic", 0x49484156454f5053}));
    EXPECT_EQ(error_of<OptionReply>("0003e889045565a8 00000001 00000001 00000000"),
              (Malformed{wrong_magic, "option_reply_magic", 0x3e889045565a8}));
    EXPECT_EQ(error_of<CompactRequest>("12560953 0000 0000 0000000000000000 0000000000000000 00000000"),
              (Malformed{wrong_magic, "request_magic", 0x12560953}));
    EXPECT_EQ(
        error_of<ExtendedRequest>("25609513 0000 0000 0000000000000000 0000000000000000 0000000000000000"),
        (Malformed{wrong_magic, "extended_request_magic", request_magic}));
    EXPECT_EQ(error_of<SimpleReply>("668e33ef 00000000 0000000000000000"),
              (Malformed{wrong_magic, "simple_reply_magic", structured_reply_magic}));
    EXPECT_EQ(error_of<StructuredChunk>("67446698 0000 0000 0000000000000000 00000000"),
              (Malformed{wrong_magic, "structured_reply_magic", simple_reply_magic}));
    EXPECT_EQ(
        error_of<ExtendedChunk>("668e33ef 0000 0000 0000000000000000 0000000000000000 0000000000000000"),
        (Malformed{wrong_magic, "extended_reply_magic", structured_reply_magic}));
}

// A decoder that believed these lengths would ask for gigabytes: see largest_allocation.hpp.
struct Lie {
    Malformed (*decode)(std::string_view);
    std::string_view bytes;
    Malformed expected;
};

constexpr Lie lies[] = {
    {error_of<InfoRequest>, "ffffffff 'disk' 0000", {truncated, "export_name", 0xffffffff}},
    {error_of<InfoRequest>, "00000007 'disk' 0000", {truncated, "export_name", 7}},
    {error_of<InfoRequest>, "00000005 'disk' 0000", {truncated, "information_requests", 0}},
    {error_of<InfoRequest>, "00000004 'disk' ffff 0001", {truncated, "information_requests", 0}},
    {error_of<MetaContextQuery>, "ffffffff", {truncated, "query", 0xffffffff}},
    {error_of<MetaContextRequest>, "ffffffff 'd' 00000000", {truncated, "export_name", 0xffffffff}},
    {error_of<MetaContextRequest>, "00000001 'd' ffffffff", {truncated, "query", 0}},
    {error_of<MetaContextRequest>, "00000001 'd' ffffffff 00000000 00000000", {truncated, "query", 0}},
    {error_of<MetaContextRequest>,
     "00000001 'd' 00000001 fffffff0 'base:'",
     {truncated, "query", 0xfffffff0}},
    {error_of<ServerReply>, "ffffffff 'disk'", {truncated, "export_name", 0xffffffff}},
    {error_of<ServerReply>, "00000005 'disk'", {truncated, "export_name", 5}},
    {error_of<BlockStatus>, "00000001 00010000 0000", {truncated, "status", 0}},
    {error_of<BlockStatusExt>, "00000001 ffffffff", {truncated, "length", 0}},
    {error_of<BlockStatusExt>,
     "00000001 00000002 0000000000000200 0000000000000000",
     {truncated, "length", 0}},
    {error_of<BlockStatusQuery>, "0000000000000001 000000", {truncated, "contexts", 0}},
    {error_of<ErrorChunk>, "00000005 ffff 'bad'", {truncated, "message", 0xffff}},
    {error_of<ErrorOffsetChunk>, "00000005 000b 'bad' 0000000000000000", {truncated, "offset", 0}},
    {error_of<AnyErrorChunk>, "00000005 0004 'bad'", {truncated, "message", 4}},
};

TEST(DecodeErrors, LyingLengths) {
    for (const Lie& lie : lies) {
        SCOPED_TRACE(lie.bytes);
        reset_largest_allocation();
        EXPECT_EQ(lie.decode(lie.bytes), lie.expected);
        EXPECT_LT(largest_allocation(), 1024U);
    }
}

TEST(DecodeErrors, TheProbeSeesAllocations) {
    reset_largest_allocation();
    EXPECT_EQ(Buffer(5000).size(), 5000U);
    EXPECT_GE(largest_allocation(), 5000U);
}

TEST(DecodeErrors, TooFewElementsLeaveBytesOver) {
    EXPECT_EQ(error_of<BlockStatusExt>("00000001 00000000 0000000000000200 0000000000000000"),
              (Malformed{Malformed::Kind::trailing, "end", 16}));
    EXPECT_EQ(error_of<InfoRequest>("00000000 0001 0000 0003"),
              (Malformed{Malformed::Kind::trailing, "end", 2}));
}

TEST(DecodeErrors, InWords) {
    EXPECT_EQ((Malformed{truncated, "cookie", 0}).describe(), "cookie: the message ends here");
    EXPECT_EQ((Malformed{truncated, "query", 9}).describe(),
              "query: a length of 9 goes beyond the end of the message");
    EXPECT_EQ((Malformed{Malformed::Kind::trailing, "end", 2}).describe(),
              "2 bytes are left over after the last field");
    EXPECT_EQ((Malformed{wrong_magic, "request_magic", 0x12560953}).describe(),
              "request_magic: wrong magic number 0x12560953");
}

TEST(DecodeErrors, ValueThrowsTheDescription) {
    try {
        (void)decode<ClientFlags>(Buffer{}).value();
        FAIL() << "no exception";
    } catch (const std::invalid_argument& error) {
        EXPECT_STREQ(error.what(), "flags: the message ends here");
    }
}

TEST(EncodeErrors, WhatDoesNotFitItsLengthField) {
    const std::string longest(65535, 'x');
    EXPECT_EQ(encode(ErrorChunk{Error::io, longest}).size(), 6 + longest.size());
    EXPECT_THROW((void)encode(ErrorChunk{Error::io, longest + "x"}), std::length_error);
    EXPECT_THROW((void)encode(InfoRequest{"", std::vector<InfoType>(65536)}), std::length_error);
}

TEST(DecodePrefix, LeavesWhatFollowsAlone) {
    const Buffer bytes = hex("67446698 00000000 0000000000000005 'data'");
    const Decoded<SimpleReply> reply = decode_prefix<SimpleReply>(bytes);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(*reply, (SimpleReply{Error::none, 5}));
    const Decoded<SimpleReply> cut = decode_prefix<SimpleReply>(Bytes(bytes).first(15));
    ASSERT_TRUE(cut.has_error());
    EXPECT_EQ(cut.error(), (Malformed{truncated, "cookie", 0}));
}

TEST(AllMessages, AreListed) {
    std::size_t titles = 0;
    for (const char* header :
         {"/protocol/handshake.hpp", "/protocol/resize.hpp", "/protocol/transmission.hpp"}) {
        std::ifstream file(std::string(NBD_SOURCE_DIR) + header);
        ASSERT_TRUE(file) << header;
        for (std::string line; std::getline(file, line);) {
            if (line.find("std::string_view title = ") != std::string::npos) {
                ++titles;
            }
        }
    }
    EXPECT_EQ(titles, AllMessages::count) << "a message is missing in all_messages.hpp";
}

} // namespace
} // namespace nbd::test
