#include "harness/transcript/tests/support.hpp"
#include "harness/transcript/transcript.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

namespace wire {
namespace {

using Kind = TranscriptRecord::Kind;

std::string contents(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Reads a file that has these bytes; the message if that fails.
std::string reading(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    try {
        (void)read_transcript(file);
    } catch (const TranscriptError& error) {
        return error.what();
    }
    return "";
}

TEST(TranscriptTest, IsReadAsItWasWritten) {
    const Folder folder;
    const nbd::Buffer some{1, 2, 3};
    {
        TranscriptWriter writer(folder / "t", "a/b/c");
        writer.opened(1);
        writer.bytes(1, Side::server, some);
        writer.opened(300);
        writer.ended(300, Side::client, End::reset);
        writer.stopped();
    }
    const Transcript transcript = read_transcript(folder / "t");
    EXPECT_TRUE(is_transcript(folder / "t"));
    EXPECT_EQ(transcript.title, "a/b/c");
    ASSERT_EQ(transcript.records.size(), 5U);
    EXPECT_EQ(transcript.records[1].kind, Kind::bytes);
    EXPECT_EQ(transcript.records[1].side, Side::server);
    EXPECT_EQ(transcript.records[1].bytes, some);
    EXPECT_EQ(transcript.records[3].connection, 300U);
    EXPECT_EQ(transcript.records[3].how, End::reset);
    EXPECT_EQ(transcript.records[4].kind, Kind::stopped);
    for (std::size_t i = 1; i < transcript.records.size(); ++i) {
        EXPECT_GE(transcript.records[i].at, transcript.records[i - 1].at);
    }
}

TEST(TranscriptTest, KeepsOnlyTheBeginningOfData) {
    const Folder folder;
    {
        TranscriptWriter writer(folder / "t", "");
        const nbd::Buffer data(100'000, 7);
        writer.data(1, Side::server, nbd::Bytes(data).first(10));
        writer.data(1, Side::server, data);
        writer.bytes(1, Side::server, nbd::Bytes(data).first(1));
    }
    const auto records = read_transcript(folder / "t").records;
    ASSERT_EQ(records.size(), 4U);
    EXPECT_EQ(records[0].bytes.size() + records[1].bytes.size(), TranscriptWriter::kept_data);
    EXPECT_EQ(records[2].kind, Kind::left_out);
    EXPECT_EQ(records[2].left_out, 100'010 - TranscriptWriter::kept_data);
    EXPECT_EQ(records[3].kind, Kind::bytes);
    EXPECT_LT(std::filesystem::file_size(folder / "t"), 200U);
}

TEST(TranscriptTest, StopsWhereItWouldBecomeTooLong) {
    const Folder folder;
    {
        TranscriptWriter writer(folder / "t", "");
        const nbd::Buffer block(1U << 20);
        for (int i = 0; i < 40; ++i) {
            writer.bytes(1, Side::client, block);
            writer.bytes(2, Side::client, nbd::Bytes(block).first(1));
        }
    }
    EXPECT_LE(std::filesystem::file_size(folder / "t"), TranscriptWriter::longest + 1000);
    EXPECT_NO_THROW((void)read_transcript(folder / "t"));
}

TEST(TranscriptTest, SaysWhereAFileIsNone) {
    const Folder folder;
    const auto message = [&](const std::string& bytes) { return reading(folder / "t", bytes); };
    EXPECT_THAT(message("something else\n\n"), ::testing::HasSubstr("does not begin as a transcript"));
    EXPECT_THAT(message(""), ::testing::HasSubstr("a line has no end"));
    EXPECT_THAT(message("NBD transcript 1\ntitle\nx"), ::testing::HasSubstr("byte 24"));
    EXPECT_THAT(message(std::string("NBD transcript 1\nt\nb\x01\x00\x00\x09zz", 26)),
                ::testing::HasSubstr("in the middle of a record"));
    EXPECT_THROW((void)read_transcript(folder / "none"), TranscriptError);
    EXPECT_FALSE(is_transcript(folder / "none"));
}

TEST(TranscriptTest, NoFileIsTooBroken) {
    const Folder folder;
    {
        TranscriptWriter writer(folder / "t", "t");
        Written talk(writer, 1);
        talk.structured().request(nbd::Command::read, 0, 512).data(0, 512).leave();
    }
    const std::string good = contents(folder / "t");
    std::mt19937 random(3);
    for (int round = 0; round < 3000; ++round) {
        std::string bad = good;
        bad[19 + random() % (bad.size() - 19)] = static_cast<char>(random());
        bad.resize(19 + random() % (bad.size() - 19));
        (void)reading(folder / "t", bad);
    }
}

} // namespace
} // namespace wire
