// What a server says is cut into the same messages however it is torn, and nonsense is told from messages.

#include "harness/check/incoming.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace harness::check {
namespace {

using namespace testing_support;

using ::testing::HasSubstr;

/// Two messages of the transmission phase and how they are to be read.
struct Exchange {
    nbd::Buffer bytes;
    Reading reading;
};

Exchange replies() {
    Exchange made;
    made.reading.phase = Reading::Phase::transmission;
    made.reading.read_lengths[7] = 3;
    nbd::encode_to(made.bytes, nbd::SimpleReply{nbd::Error::none, 7});
    made.bytes.insert(made.bytes.end(), {1, 2, 3});
    nbd::encode_chunk_to(made.bytes, {nbd::reply_flag::done, nbd::ChunkType::offset_hole, 8, 0, 12},
                         nbd::HeaderStyle::compact);
    nbd::encode_to(made.bytes, nbd::OffsetHole{0, 512});
    nbd::encode_chunk_to(made.bytes, {nbd::reply_flag::done, nbd::ChunkType::none, 9, 4096, 0},
                         nbd::HeaderStyle::extended);
    return made;
}

TEST(Incoming, IsCutAlikeHoweverItIsTorn) {
    const Exchange exchange = replies();
    for (std::size_t piece = 1; piece <= exchange.bytes.size(); ++piece) {
        nbd::Buffer waiting;
        std::vector<Incoming> messages;
        for (std::size_t at = 0; at < exchange.bytes.size(); at += piece) {
            const auto end = std::min(at + piece, exchange.bytes.size());
            waiting.insert(waiting.end(), exchange.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                           exchange.bytes.begin() + static_cast<std::ptrdiff_t>(end));
            while (auto message = take_message(waiting, exchange.reading)) {
                messages.push_back(std::move(*message));
            }
        }
        ASSERT_EQ(messages.size(), 3U) << "pieces of " << piece;
        EXPECT_TRUE(waiting.empty());
        EXPECT_EQ(std::get<SimpleAnswer>(messages[0]).data, (nbd::Buffer{1, 2, 3}));
        EXPECT_EQ(std::get<ChunkAnswer>(messages[1]).chunk.type, nbd::ChunkType::offset_hole);
        EXPECT_EQ(std::get<ChunkAnswer>(messages[1]).payload.size(), 12U);
        EXPECT_EQ(std::get<ChunkAnswer>(messages[2]).chunk.offset, 4096U);
    }
}

struct Nonsense {
    const char* name;
    Reading reading;
    nbd::Buffer bytes;
    const char* message;
};

class NonsenseTest : public ::testing::TestWithParam<Nonsense> {};

TEST_P(NonsenseTest, IsToldAtOnce) {
    nbd::Buffer bytes = GetParam().bytes;
    const auto message = take_message(bytes, GetParam().reading);
    ASSERT_TRUE(message);
    const auto* garbage = std::get_if<Garbage>(&*message);
    ASSERT_NE(garbage, nullptr);
    EXPECT_THAT(garbage->why, HasSubstr(GetParam().message));
    EXPECT_TRUE(bytes.empty()) << "what follows nonsense has no meaning";
}

Reading in(Reading::Phase phase) {
    Reading reading;
    reading.phase = phase;
    return reading;
}

nbd::Buffer long_chunk() {
    nbd::Buffer bytes;
    nbd::encode_chunk_to(bytes, {0, nbd::ChunkType::offset_data, 1, 0, std::uint64_t{1} << 40},
                         nbd::HeaderStyle::extended);
    return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Incoming, NonsenseTest,
    ::testing::Values(Nonsense{"greeting", in(Reading::Phase::greeting), nbd::Buffer(8), "a greeting is due"},
                      Nonsense{"style", in(Reading::Phase::greeting), nbd::encode(nbd::GreetingStart{0x1234}),
                               "second word"},
                      Nonsense{"option reply", in(Reading::Phase::haggling), nbd::Buffer(20, 0xff),
                               "a reply to an option is due"},
                      Nonsense{"reply", in(Reading::Phase::transmission), nbd::Buffer{1, 2, 3, 4},
                               "0x1020304"},
                      Nonsense{"long", in(Reading::Phase::transmission), long_chunk(), "announces"}),
    by_name);

TEST(Incoming, TheReplyToAnExportNameHasItsPadding) {
    Reading reading = in(Reading::Phase::haggling);
    reading.awaits_export_name = true;
    nbd::Buffer bytes = nbd::encode(nbd::ExportNameReply{4096, 1});
    EXPECT_FALSE(take_message(bytes, reading));
    bytes.resize(bytes.size() + nbd::handshake_padding);
    const auto message = take_message(bytes, reading);
    ASSERT_TRUE(message);
    EXPECT_EQ(std::get<ExportEntered>(*message).reply.size, 4096U);
    EXPECT_TRUE(bytes.empty());
}

TEST(Incoming, ARefusalOfAnExportNameIsToldAsTheOptionReplyThatItIs) {
    Reading reading = in(Reading::Phase::haggling);
    reading.awaits_export_name = true;
    nbd::Buffer bytes =
        nbd::encode(nbd::OptionReply{nbd::Option::export_name, nbd::OptionReplyType::err_unknown, 0});
    const auto message = take_message(bytes, reading);
    ASSERT_TRUE(message);
    EXPECT_TRUE(std::holds_alternative<OptionAnswer>(*message));
}

} // namespace
} // namespace harness::check
