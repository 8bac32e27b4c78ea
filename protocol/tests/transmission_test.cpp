#include "protocol/tests/hex.hpp"
#include "protocol/transmission.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace nbd::test {
namespace {

TEST(RequestView, BothStyles) {
    const Request request{command_flag::df, Command::read, 7, 512, 4096};
    Buffer compact;
    encode_request_to(compact, request, HeaderStyle::compact);
    EXPECT_EQ(compact, hex("25609513 0004 0000 0000000000000007 0000000000000200 00001000"));
    EXPECT_EQ(decode_request(compact, HeaderStyle::compact).value(), request);

    Buffer extended;
    encode_request_to(extended, request, HeaderStyle::extended);
    EXPECT_EQ(extended, hex("21e41c71 0004 0000 0000000000000007 0000000000000200 0000000000001000"));
    EXPECT_EQ(decode_request(extended, HeaderStyle::extended).value(), request);

    EXPECT_EQ(decode_request(compact, HeaderStyle::extended).error().kind, Malformed::Kind::wrong_magic);
    EXPECT_EQ(decode_request(extended, HeaderStyle::compact).error().kind, Malformed::Kind::wrong_magic);
}

TEST(RequestView, IgnoresWhatFollowsTheHeader) {
    Buffer bytes;
    encode_request_to(bytes, {0, Command::write, 1, 0, 4}, HeaderStyle::compact);
    bytes.insert(bytes.end(), {1, 2, 3, 4});
    EXPECT_EQ(decode_request(bytes, HeaderStyle::compact).value(), (Request{0, Command::write, 1, 0, 4}));
}

TEST(RequestView, CompactLengthsAreNotCutSilently) {
    Buffer out;
    encode_request_to(out, {0, Command::trim, 1, 0, 0xffffffff}, HeaderStyle::compact);
    EXPECT_THROW(encode_request_to(out, {0, Command::trim, 1, 0, 0x100000000}, HeaderStyle::compact),
                 std::length_error);
    encode_request_to(out, {0, Command::trim, 1, 0, 0x100000000}, HeaderStyle::extended);
    EXPECT_EQ(out.size(), 28U + 32U);
}

TEST(ChunkView, BothStyles) {
    const Chunk chunk{reply_flag::done, ChunkType::offset_data, 7, 512, 9};
    Buffer compact;
    encode_chunk_to(compact, chunk, HeaderStyle::compact);
    EXPECT_EQ(compact, hex("668e33ef 0001 0001 0000000000000007 00000009"));
    EXPECT_EQ(decode_chunk(compact, HeaderStyle::compact).value(),
              (Chunk{reply_flag::done, ChunkType::offset_data, 7, 0, 9}));

    Buffer extended;
    encode_chunk_to(extended, chunk, HeaderStyle::extended);
    EXPECT_EQ(extended, hex("6e8a278c 0001 0001 0000000000000007 0000000000000200 0000000000000009"));
    EXPECT_EQ(decode_chunk(extended, HeaderStyle::extended).value(), chunk);

    EXPECT_TRUE(chunk.done());
    EXPECT_FALSE((Chunk{0x8000, ChunkType::none, 7, 0, 0}).done());
    EXPECT_THROW(
        encode_chunk_to(compact, {0, ChunkType::offset_data, 1, 0, 0x100000000}, HeaderStyle::compact),
        std::length_error);
}

TEST(PayloadLength, IsThatOfWritesInCompactStyleAndOfTheFlagInExtendedStyle) {
    struct Row {
        Command type;
        std::uint16_t flags;
        std::uint64_t compact;
        std::uint64_t extended;
    };
    const Row rows[] = {
        {Command::read, 0, 0, 0},
        {Command::write, 0, 8, 0},
        {Command::write, command_flag::payload_len, 8, 8},
        {Command::block_status, command_flag::payload_len, 0, 8},
        {Command::trim, command_flag::fua, 0, 0},
        {Command{99}, command_flag::payload_len, 0, 8},
    };
    for (const Row& row : rows) {
        const Request request{row.flags, row.type, 1, 0, 8};
        EXPECT_EQ(payload_length(request, HeaderStyle::compact), row.compact) << name(row.type);
        EXPECT_EQ(payload_length(request, HeaderStyle::extended), row.extended) << name(row.type);
    }
}

} // namespace
} // namespace nbd::test
