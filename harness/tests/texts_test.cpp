// Placeholders, patterns, images and the words of errors.

#include "harness/catalogue/placeholders.hpp"
#include "harness/peers/error_words.hpp"
#include "harness/peers/image.hpp"
#include "harness/peers/pattern.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sys/stat.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class PlaceholdersTest : public ::testing::Test {
  protected:
    [[nodiscard]] Words words(const Words& command) const { return expand(command, values_); }
    [[nodiscard]] std::string text(std::string_view text) const { return expand(text, values_); }

    Placeholders values_{{{"uri", "nbd://x/{size}"}, {"size", "1024"}, {"file:config", "/tmp/c"}},
                         {{"args", {"-a", "--size={size}"}}, {"none", {}}}};
};

TEST_F(PlaceholdersTest, TextsAreFilledInAnywhere) {
    EXPECT_EQ(text("{size}"), "1024");
    EXPECT_EQ(text("a{size}b{size}c"), "a1024b1024c");
    EXPECT_EQ(text("{file:config}"), "/tmp/c");
    EXPECT_EQ(text("none here"), "none here");
    EXPECT_EQ(text(""), "");
}

TEST_F(PlaceholdersTest, WhatIsFilledInIsNotLookedAtAgain) {
    EXPECT_EQ(text("{uri}"), "nbd://x/{size}");
}

TEST_F(PlaceholdersTest, ABraceThatEnclosesNoNameStays) {
    for (const char* kept : {"{}", "{", "}", "{Size}", "{ size }", "{\"a\": 1}", "a{", "{size", "{a b}"}) {
        EXPECT_EQ(text(kept), kept);
    }
    EXPECT_EQ(text("{{size}}"), "{1024}");
}

TEST_F(PlaceholdersTest, UnknownOnesAreRefused) {
    EXPECT_THAT(message_of<std::invalid_argument>([&] { (void)text("--x={sizes}"); }), HasSubstr("{sizes}"));
    EXPECT_THAT(message_of<std::invalid_argument>([&] {
                    (void)words({"a", "{sizes}"});
                }),
                HasSubstr("{sizes}"));
}

TEST_F(PlaceholdersTest, AWordThatIsAListBecomesItsWords) {
    EXPECT_THAT(words({"run", "{args}", "{none}", "{uri}"}),
                ElementsAre("run", "-a", "--size=1024", "nbd://x/{size}"));
    EXPECT_THAT(words({}), ElementsAre());
}

TEST_F(PlaceholdersTest, AListInsideOfAWordIsRefused) {
    EXPECT_THROW((void)words({"--all={args}"}), std::invalid_argument);
}

TEST_F(PlaceholdersTest, AreListed) {
    EXPECT_THAT(placeholders_in("{a} and {b-c}, {file:x}, not {} or {Big} but {a}"),
                ElementsAre("a", "b-c", "file:x", "a"));
}

TEST(Pattern, DependsOnPlaceAndSeedOnly) {
    std::vector<std::uint8_t> whole(4096);
    fill_pattern(whole, 1000, 7);
    for (const std::size_t begin : {0U, 1U, 7U, 8U, 9U, 511U, 4095U}) {
        for (const std::size_t length : {1U, 3U, 8U, 17U, 600U}) {
            const std::size_t size = std::min(length, whole.size() - begin);
            std::vector<std::uint8_t> part(size);
            fill_pattern(part, 1000 + begin, 7);
            EXPECT_TRUE(
                std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin)))
                << begin << "+" << length;
        }
    }
}

TEST(Pattern, DataThatEndUpElsewhereAreNoticed) {
    constexpr std::size_t size = 65536;
    std::vector<std::uint8_t> here(size);
    fill_pattern(here, 0, 7);
    for (const std::uint64_t shift :
         {std::uint64_t{1}, std::uint64_t{8}, std::uint64_t{512}, std::uint64_t{4096}, std::uint64_t{1} << 31,
          std::uint64_t{1} << 32, std::uint64_t{1} << 42}) {
        std::vector<std::uint8_t> there(size);
        fill_pattern(there, shift, 7);
        EXPECT_NE(here, there) << shift;
    }
    std::vector<std::uint8_t> other(size);
    fill_pattern(other, 0, 8);
    EXPECT_NE(here, other);
}

TEST(Pattern, EverySectorIsUniqueAndNotZero) {
    std::set<std::vector<std::uint8_t>> sectors;
    const std::vector<std::uint8_t> zeroes(512);
    for (std::uint64_t at = 0; at < 4096; ++at) {
        std::vector<std::uint8_t> sector(512);
        fill_pattern(sector, at * 512, 1);
        EXPECT_NE(sector, zeroes);
        sectors.insert(sector);
    }
    EXPECT_EQ(sectors.size(), 4096U);
}

TEST(Pattern, TheEndOfTheAddressSpaceIsAPlaceLikeOthers) {
    std::vector<std::uint8_t> bytes(16);
    fill_pattern(bytes, ~std::uint64_t{0} - 15, 3);
    EXPECT_NE(bytes, std::vector<std::uint8_t>(16));
}

struct Words2 {
    const char* name;
    const char* words;
    const char* error;
};

class ErrorWords : public ::testing::TestWithParam<Words2> {};

TEST_P(ErrorWords, Name) {
    EXPECT_EQ(error_in(GetParam().words), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Messages, ErrorWords,
    ::testing::Values(Words2{"library words", "write failed: No space left on device", "ENOSPC"},
                      Words2{"symbolic name", "nbd_pread: read: command failed: EINVAL", "EINVAL"},
                      Words2{"name of NBD", "server error ENOTSUP", "ENOTSUP"},
                      Words2{"words of that", "discard failed: Operation not supported", "ENOTSUP"},
                      Words2{"another name of that", "EOPNOTSUPP", "ENOTSUP"},
                      Words2{"last counts", "Input/output error while opening: Connection refused",
                             "ECONNREFUSED"},
                      Words2{"last name counts", "EIO, or rather: EPERM", "EPERM"},
                      Words2{"permission", "Operation not permitted", "EPERM"},
                      Words2{"overflow", "Value too large for defined data type", "EOVERFLOW"},
                      Words2{"shutdown", "Cannot send after transport endpoint shutdown", "ESHUTDOWN"},
                      Words2{"memory", "Cannot allocate memory", "ENOMEM"},
                      Words2{"read-only file system", "Read-only file system", "EROFS"},
                      Words2{"none", "something is wrong", "EUNKNOWN"}, Words2{"nothing", "", "EUNKNOWN"},
                      Words2{"part of a longer name", "EPROTONOSUPPORT", "EUNKNOWN"},
                      Words2{"part of a word", "VIDEIO-EIOX", "EUNKNOWN"}),
    by_name);

TEST(ErrorWordsTest, ConnectionErrors) {
    for (const char* error : {"ECONNREFUSED", "ECONNRESET", "ENOTCONN", "EPIPE", "ECONNABORTED"}) {
        EXPECT_TRUE(is_connection_error(error)) << error;
    }
    for (const char* error : {"EINVAL", "EIO", "ESHUTDOWN", "EUNKNOWN", ""}) {
        EXPECT_FALSE(is_connection_error(error)) << error;
    }
}

class ImageTest : public ::testing::Test {
  protected:
    /// The bytes of a raw image with that setup.
    std::vector<std::uint8_t> raw(const ExportSetup& setup) {
        make_image(file_, Image::raw, setup, folder_.path());
        return read_bytes(file_);
    }

    static std::vector<std::uint8_t> pattern(std::uint64_t offset, std::uint64_t length) {
        std::vector<std::uint8_t> bytes(length);
        fill_pattern(bytes, offset, initial_seed);
        return bytes;
    }

    TempFolder folder_;
    std::filesystem::path file_ = folder_ / "disk.img";
};

TEST_F(ImageTest, EmptyIsZeroesWithoutTakingSpace) {
    ExportSetup setup;
    setup.size = std::uint64_t{4} << 40;
    make_image(file_, Image::raw, setup, folder_.path());
    EXPECT_EQ(std::filesystem::file_size(file_), setup.size);
    struct stat status {};
    ASSERT_EQ(stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_blocks, 0);
}

TEST_F(ImageTest, FilledHoldsThePatternToItsLastByte) {
    ExportSetup setup;
    setup.size = 3 * sparse_stretch + 777;
    setup.filled = true;
    EXPECT_EQ(raw(setup), pattern(0, setup.size));
}

TEST_F(ImageTest, SparseHasEverySecondStretchOfZeroes) {
    ExportSetup setup;
    setup.size = 3 * sparse_stretch + 777; // ends in a hole
    setup.filled = true;
    setup.sparse = true;
    auto expected = pattern(0, setup.size);
    std::fill_n(expected.begin() + sparse_stretch, sparse_stretch, 0);
    std::fill(expected.begin() + 3 * sparse_stretch, expected.end(), 0);
    EXPECT_EQ(raw(setup), expected);
    struct stat status {};
    ASSERT_EQ(stat(file_.c_str(), &status), 0);
    EXPECT_LE(static_cast<std::uint64_t>(status.st_blocks) * 512, 2 * sparse_stretch)
        << "the holes are filled";
}

TEST_F(ImageTest, ASmallerOneReplacesALargerOne) {
    ExportSetup setup;
    setup.filled = true;
    setup.size = 1U << 20;
    (void)raw(setup);
    setup.size = 100;
    setup.filled = false;
    EXPECT_EQ(raw(setup), std::vector<std::uint8_t>(100));
}

TEST_F(ImageTest, AServerInMemoryHasNone) {
    make_image(file_, Image::none, ExportSetup{}, folder_.path());
    EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(ImageTest, AFolderThatIsNotThereIsAnError) {
    EXPECT_THROW(make_image(folder_ / "none" / "disk", Image::raw, ExportSetup{}, folder_.path()),
                 std::exception);
}

} // namespace
} // namespace harness
