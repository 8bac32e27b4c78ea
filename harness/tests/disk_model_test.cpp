#include "harness/peers/image.hpp"
#include "harness/peers/pattern.hpp"
#include "harness/run/disk_model.hpp"
#include "harness/tests/support.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <rapidcheck.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::Optional;

/// The same disk byte by byte: what each must be; nothing for "anything".
class ByteDisk {
  public:
    explicit ByteDisk(const ExportSetup& setup)
      : bytes_(setup.size, std::uint8_t{0}) {
        if (setup.filled) {
            write(0, setup.size, initial_seed);
        }
        if (setup.sparse) {
            for (std::uint64_t at = 0; at < setup.size; ++at) {
                if ((at / sparse_stretch) % 2 == 1) {
                    bytes_[at] = std::uint8_t{0};
                }
            }
        }
    }

    void write(std::uint64_t offset, std::uint64_t length, std::uint64_t seed) {
        std::vector<std::uint8_t> pattern(length);
        fill_pattern(pattern, offset, seed);
        std::copy(pattern.begin(), pattern.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    }

    void set(std::uint64_t offset, std::uint64_t length, std::optional<std::uint8_t> value) {
        std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length, value);
    }

    [[nodiscard]] std::optional<std::uint8_t> at(std::uint64_t offset) const { return bytes_.at(offset); }

    /// A possible disk: where anything may be, `filler` is.
    [[nodiscard]] std::string contents(char filler) const {
        std::string result;
        for (const auto& byte : bytes_) {
            result += byte ? static_cast<char>(*byte) : filler;
        }
        return result;
    }

  private:
    std::vector<std::optional<std::uint8_t>> bytes_;
};

struct Range {
    std::uint64_t offset;
    std::uint64_t length;
};

Range any_range(std::uint64_t size) {
    const auto offset = *rc::gen::inRange<std::uint64_t>(0, size + 1);
    return {offset, *rc::gen::inRange<std::uint64_t>(0, size - offset + 1)};
}

TEST(DiskModelProperty, IsTheSameAsADiskByteByByte) {
    const TempFolder folder;
    const auto file = folder / "disk";
    EXPECT_TRUE(rc::check([&] {
        ExportSetup setup;
        // Around two stretches of a sparse export, so that both kinds and an odd end occur.
        setup.size =
            *rc::gen::element<std::uint64_t>(1, 64, 1000, 2 * sparse_stretch, 2 * sparse_stretch + 33);
        setup.filled = *rc::gen::arbitrary<bool>();
        setup.sparse = setup.filled && *rc::gen::arbitrary<bool>();
        DiskModel model(setup);
        ByteDisk bytes(setup);
        const auto count = *rc::gen::inRange(0, 12);
        for (int i = 0; i < count; ++i) {
            const Range range = any_range(setup.size);
            switch (*rc::gen::inRange(0, 3)) {
            case 0:
                model.write(range.offset, range.length, 1000U + static_cast<unsigned>(i));
                bytes.write(range.offset, range.length, 1000U + static_cast<unsigned>(i));
                break;
            case 1:
                model.zero(range.offset, range.length);
                bytes.set(range.offset, range.length, 0);
                break;
            default:
                model.forget(range.offset, range.length);
                bytes.set(range.offset, range.length, std::nullopt);
            }
        }
        const Range range = any_range(setup.size);

        bool zero = true;
        bool data = false;
        for (std::uint64_t at = range.offset; at < range.offset + range.length; ++at) {
            zero = zero && bytes.at(at) == 0;
            data = data || bytes.at(at).value_or(0) != 0;
        }
        // A pattern's byte may happen to be zero; then the model, which knows patterns as such, says less.
        if (model.surely_zero(range.offset, range.length)) {
            RC_ASSERT(zero);
        }
        if (data) {
            RC_ASSERT(model.has_data(range.offset, range.length));
            RC_ASSERT(!model.surely_zero(range.offset, range.length));
        }

        // Any disk that fits is taken, whatever stands where anything may be.
        std::string contents = bytes.contents('\x5a');
        write_file(file, contents);
        RC_ASSERT(!model.compare(file, range.offset, range.offset, range.length));

        // One wrong byte is found and placed, unless it may be anything.
        if (range.length > 0) {
            const auto wrong = *rc::gen::inRange(range.offset, range.offset + range.length);
            contents[wrong] = static_cast<char>(contents[wrong] ^ 0x40);
            write_file(file, contents);
            const auto difference = model.compare(file, range.offset, range.offset, range.length);
            RC_ASSERT(difference.has_value() == bytes.at(wrong).has_value());
            if (difference) {
                RC_ASSERT(difference->starts_with(fmt::format("at offset {} are ", wrong)));
            }
        }
    }));
}

class DiskModelTest : public ::testing::Test {
  protected:
    static ExportSetup sized(std::uint64_t size) {
        ExportSetup setup;
        setup.size = size;
        return setup;
    }

    TempFolder folder_;
    std::filesystem::path file_ = folder_ / "file";
};

TEST_F(DiskModelTest, KnowsWhatIsSurelyZeroAndWhatHasData) {
    DiskModel disk(sized(1000));
    EXPECT_TRUE(disk.surely_zero(0, 1000));
    EXPECT_FALSE(disk.has_data(0, 1000));
    disk.write(100, 100, 5);
    EXPECT_FALSE(disk.surely_zero(0, 1000));
    EXPECT_TRUE(disk.surely_zero(0, 100));
    EXPECT_TRUE(disk.surely_zero(200, 800));
    EXPECT_TRUE(disk.has_data(199, 1));
    EXPECT_FALSE(disk.has_data(200, 1));
    disk.forget(150, 10);
    EXPECT_FALSE(disk.surely_zero(150, 10));
    EXPECT_FALSE(disk.has_data(150, 10));
    disk.zero(0, 1000);
    EXPECT_TRUE(disk.surely_zero(0, 1000));
}

TEST_F(DiskModelTest, WhatIsBeyondTheEndIsNotSurelyZero) {
    const DiskModel disk(sized(1000));
    EXPECT_FALSE(disk.surely_zero(1000, 10)) << "nobody knows what is there";
    EXPECT_FALSE(disk.surely_zero(990, 20));
    EXPECT_FALSE(disk.has_data(1000, 10));
}

TEST_F(DiskModelTest, ADifferenceShowsPlaceAndBytes) {
    DiskModel disk(sized(100));
    write_file(file_, std::string(20, '\0') + "\x01\x02" + std::string(78, '\0'));
    EXPECT_THAT(
        disk.compare(file_, 0, 0, 100),
        Optional(std::string("at offset 20 are 01 02 00 00 00 00 00 00 instead of 00 00 00 00 00 00 00 00")));
    EXPECT_FALSE(disk.compare(file_, 0, 0, 20));
    EXPECT_FALSE(disk.compare(file_, 22, 22, 78));
}

TEST_F(DiskModelTest, TheFilesPlaceAndTheDisksAreDifferentThings) {
    DiskModel disk(sized(4096));
    disk.write(1000, 100, 9);
    std::vector<std::uint8_t> bytes(100);
    fill_pattern(bytes, 1000, 9);
    write_file(file_, "head" + std::string(bytes.begin(), bytes.end()));
    EXPECT_FALSE(disk.compare(file_, 4, 1000, 100));
    EXPECT_TRUE(disk.compare(file_, 0, 1000, 100));
    EXPECT_TRUE(disk.compare(file_, 4, 1001, 99));
}

TEST_F(DiskModelTest, DataThatEndTooEarly) {
    const DiskModel disk(sized(100));
    write_file(file_, std::string(60, '\0'));
    EXPECT_THAT(disk.compare(file_, 0, 0, 100), Optional(HasSubstr("at offset 60")));
    EXPECT_THAT(disk.compare(file_, 0, 0, 100), Optional(HasSubstr("40 bytes")));
    write_file(file_, "");
    EXPECT_TRUE(disk.compare(file_, 0, 0, 100));
}

TEST_F(DiskModelTest, WhatMayBeAnythingStillHasToBeThere) {
    DiskModel disk(sized(100));
    disk.forget(0, 100);
    write_file(file_, std::string(60, 'x'));
    EXPECT_TRUE(disk.compare(file_, 0, 0, 100));
    EXPECT_FALSE(disk.compare(file_, 0, 0, 60));
}

TEST_F(DiskModelTest, AFileThatIsNotThere) {
    const DiskModel disk(sized(100));
    EXPECT_THAT(disk.compare(folder_ / "none", 0, 0, 100), Optional(HasSubstr("none")));
}

TEST_F(DiskModelTest, LargeDisksTakeNoSpace) {
    DiskModel disk(sized(std::uint64_t{1} << 62));
    disk.write((std::uint64_t{1} << 62) - 10, 10, 3);
    EXPECT_TRUE(disk.surely_zero(0, (std::uint64_t{1} << 62) - 10));
    EXPECT_TRUE(disk.has_data((std::uint64_t{1} << 62) - 1, 1));
}

TEST_F(DiskModelTest, IsZeroesLooksAtEveryByte) {
    std::string bytes(1000000, '\0');
    write_file(file_, bytes);
    EXPECT_TRUE(is_zeroes(file_));
    for (const std::size_t at : {std::size_t{0}, std::size_t{262144}, bytes.size() - 1}) {
        bytes[at] = 1;
        write_file(file_, bytes);
        EXPECT_FALSE(is_zeroes(file_)) << at;
        bytes[at] = 0;
    }
}

TEST_F(DiskModelTest, AFileThatIsNotThereIsNotZeroes) {
    EXPECT_FALSE(is_zeroes(folder_ / "none"));
}

} // namespace
} // namespace harness
