// The parts of the program that need no server.

#include "reference-client/cli/command_line.hpp"
#include "reference-client/cli/copy_plan.hpp"
#include "reference-client/cli/format.hpp"
#include "reference-client/cli/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

TEST(CommandLine, TakesTheUriOnEitherSide) {
    EXPECT_EQ(command_first({"info", "nbd://h"}), (Words{"info", "nbd://h"}));
    EXPECT_EQ(command_first({"nbd://h", "info", "--json"}), (Words{"info", "nbd://h", "--json"}));
    EXPECT_EQ(command_first({"--json", "nbd://h", "read", "0", "1"}),
              (Words{"--json", "read", "nbd://h", "0", "1"}));
    EXPECT_EQ(command_first({"nbd://h"}), (Words{"info", "nbd://h"}));
    EXPECT_EQ(command_first({"copy", "nbd://h", "read"}), (Words{"copy", "nbd://h", "read"}));
    EXPECT_EQ(command_first({"nbd://h", "--help"}), (Words{"nbd://h", "--help"}));
}

TEST(Format, SizesAndTimes) {
    EXPECT_EQ(human_size(0), "0 bytes");
    EXPECT_EQ(human_size(1023), "1023 bytes");
    EXPECT_EQ(human_size(1024), "1 KiB");
    EXPECT_EQ(human_size(1536), "1.5 KiB");
    EXPECT_EQ(human_size(UINT64_MAX), "16 EiB");
    EXPECT_EQ(human_time(std::chrono::seconds(7)), "0:07");
    EXPECT_EQ(human_time(std::chrono::seconds(3600 + 61)), "1:01:01");
}

TEST(HexDump, IsTheSameHoweverBytesArrive) {
    nbd::Buffer bytes(100, 0);
    bytes[3] = 'A';
    bytes[99] = 0x7f;
    HexDump whole(0x10);
    const std::string expected =
        "00000010  00 00 00 41 00 00 00 00  00 00 00 00 00 00 00 00  |...A............|\n"
        "00000020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n"
        "*\n"
        "00000070  00 00 00 7f                                       |....|\n"
        "00000074\n";
    std::string text = whole.add(bytes);
    text += whole.finish();
    EXPECT_EQ(text, expected);
    HexDump pieces(0x10);
    text.clear();
    for (const std::uint8_t byte : bytes) {
        text += pieces.add(nbd::Bytes(&byte, 1));
    }
    EXPECT_EQ(text + pieces.finish(), expected);
}

TEST(Progress, FitsItsLine) {
    using Seconds = std::chrono::duration<double>;
    EXPECT_EQ(progress_line(512 * 1024, 1024 * 1024, Seconds(1), 60),
              "[##############...............]  50%    512 KiB/s ETA   0:01");
    for (unsigned width = 1; width < 120; ++width) {
        EXPECT_LE(progress_line(123456789, 987654321, Seconds(3), width).size(), width);
        EXPECT_LE(progress_line(0, 0, Seconds(0), width).size(), width);
    }
    EXPECT_THAT(progress_line(10, 10, Seconds(1), 80), HasSubstr("100%"));
}

TEST(ExtentMerger, JoinsEqualNeighbours) {
    std::vector<MappedExtent> extents;
    ExtentMerger merger([&](const MappedExtent& extent) { extents.push_back(extent); });
    merger.add({0, 10, 0});
    merger.add({10, 10, 0});
    merger.add({20, 10, 3});
    merger.finish();
    merger.finish();
    EXPECT_THAT(extents, ElementsAre(MappedExtent{0, 20, 0}, MappedExtent{20, 10, 3}));
}

std::vector<Piece> all_pieces(PlanSizes sizes, const std::vector<Piece>& zeroes) {
    CopyPlan plan(sizes, [&](std::uint64_t offset, std::uint64_t length) {
        std::vector<Piece> runs;
        for (const Piece& run : zeroes) {
            const std::uint64_t start = std::max(run.offset, offset);
            const std::uint64_t end = std::min(run.offset + run.length, offset + length);
            if (start < end) {
                runs.push_back({start, end - start, true});
            }
        }
        return runs;
    });
    std::vector<Piece> pieces;
    while (const auto piece = plan.next()) {
        pieces.push_back(*piece);
    }
    return pieces;
}

TEST(CopyPlan, CutsDataAtMultiples) {
    EXPECT_THAT(all_pieces({10, 1, 4, 4}, {}),
                ElementsAre(Piece{0, 4, false}, Piece{4, 4, false}, Piece{8, 2, false}));
    EXPECT_THAT(all_pieces({10, 1, 4, 4}, {{2, 3, true}}),
                ElementsAre(Piece{0, 2, false}, Piece{2, 2, true}, Piece{4, 1, true}, Piece{5, 3, false},
                            Piece{8, 2, false}));
    EXPECT_TRUE(all_pieces({0, 1, 4, 4}, {}).empty());
}

TEST(CopyPlan, KeepsBlocksWhole) {
    // Zeroes from 3 to 13: of blocks of 4 only 4 to 12 are free of data; at the end all of it is.
    EXPECT_THAT(all_pieces({18, 4, 8, 64}, {{3, 10, true}, {15, 3, true}}),
                ElementsAre(Piece{0, 4, false}, Piece{4, 8, true}, Piece{12, 4, false}, Piece{16, 2, true}));
    EXPECT_THAT(all_pieces({8, 4, 8, 64}, {{1, 3, true}}), ElementsAre(Piece{0, 8, false}));
}

TEST(CopyPlan, GoesOnBeyondItsWindow) {
    constexpr std::uint64_t mebibyte = 1048576;
    constexpr std::uint64_t total = 300 * mebibyte + 1;
    std::uint64_t offset = 0;
    std::uint64_t zeroes = 0;
    for (const Piece& piece :
         all_pieces({total, 1, mebibyte, 64 * mebibyte}, {{100 * mebibyte, 100 * mebibyte, true}})) {
        EXPECT_EQ(piece.offset, offset);
        offset += piece.length;
        zeroes += piece.zero ? piece.length : 0;
    }
    EXPECT_EQ(offset, total);
    EXPECT_EQ(zeroes, 100 * mebibyte);
}

} // namespace
} // namespace refclient::cli
