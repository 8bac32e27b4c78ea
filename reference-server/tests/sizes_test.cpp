#include "reference-server/sizes.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace refserver {
namespace {

TEST(Sizes, are_read_as_people_write_them) {
    struct {
        const char* text;
        std::uint64_t size;
    } const cases[] = {{"0", 0},
                       {"1000", 1000},
                       {"512b", 512},
                       {"64k", 65536},
                       {"64K", 65536},
                       {"64KiB", 65536},
                       {"64kb", 64000},
                       {"1M", 1U << 20},
                       {"1MiB", 1U << 20},
                       {"1MB", 1000000},
                       {"3G", std::uint64_t{3} << 30},
                       {"2T", std::uint64_t{2} << 40},
                       {"1P", std::uint64_t{1} << 50},
                       {"15E", std::uint64_t{15} << 60},
                       {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()}};
    for (const auto& c : cases) {
        EXPECT_EQ(parse_size(c.text), c.size) << c.text;
    }
}

TEST(Sizes, nonsense_is_refused) {
    for (const char* text :
         {"", "M", "-1", " 1", "1 M", "1.5M", "1X", "1Mi", "1MiBx", "16E", "18446744073709551616"}) {
        EXPECT_THROW((void)parse_size(text), std::invalid_argument) << text;
    }
}

TEST(Sizes, are_told_in_the_largest_unit_that_fits) {
    EXPECT_EQ(size_text(0), "0 bytes");
    EXPECT_EQ(size_text(1), "1 byte");
    EXPECT_EQ(size_text(1000), "1000 bytes");
    EXPECT_EQ(size_text(1536), "1536 bytes");
    EXPECT_EQ(size_text(65536), "64 KiB");
    EXPECT_EQ(size_text(std::uint64_t{1} << 40), "1 TiB");
}

} // namespace
} // namespace refserver
