// Sizes and versions as the catalogue writes them.

#include "harness/catalogue/size_expression.hpp"
#include "harness/catalogue/version_range.hpp"
#include "harness/tests/support.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <rapidcheck.h>

namespace harness {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

struct GoodSize {
    const char* text;
    std::uint64_t size;
    std::uint64_t value;
};

class GoodSizes : public ::testing::TestWithParam<GoodSize> {};

TEST_P(GoodSizes, Evaluate) {
    const SizeExpression expression = SizeExpression::parse(GetParam().text);
    EXPECT_EQ(expression.evaluate(GetParam().size), GetParam().value) << GetParam().text;
    EXPECT_EQ(expression.text(), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Size, GoodSizes,
    ::testing::Values(GoodSize{"0", 5, 0}, GoodSize{"512", 0, 512}, GoodSize{"4KiB", 0, 4 * kib},
                      GoodSize{"3MiB", 0, 3 * mib}, GoodSize{"2GiB", 0, 2 * gib},
                      GoodSize{"4TiB", 0, 4096 * gib}, GoodSize{"1MiB+512", 0, mib + 512},
                      GoodSize{"size", mib, mib}, GoodSize{"size/2", mib, mib / 2}, GoodSize{"size/3", 10, 3},
                      GoodSize{"size-4KiB", mib, mib - 4 * kib}, GoodSize{"size+1GiB", mib, mib + gib},
                      GoodSize{"size/2-4KiB+1", mib, mib / 2 - 4 * kib + 1}, GoodSize{"size-size", mib, 0},
                      GoodSize{"1-2+size", 1, 0}, GoodSize{"size*2", 5, 10}, GoodSize{"0x1F", 0, 31},
                      GoodSize{"2^63-1", 0, most / 2}, GoodSize{"2^10KiB", 0, mib},
                      GoodSize{"18446744073709551615", 0, most}, GoodSize{"size+size-size", most, most},
                      GoodSize{"16777215TiB", 0, most - (most >> 24)}));

struct BadSize {
    const char* text;
    const char* message;
};

class BadSizes : public ::testing::TestWithParam<BadSize> {};

TEST_P(BadSizes, AreRefusedWithTheTextAndTheReason) {
    const std::string message =
        message_of<std::invalid_argument>([&] { (void)SizeExpression::parse(GetParam().text); });
    EXPECT_THAT(message, HasSubstr(GetParam().message));
    EXPECT_THAT(message, HasSubstr(fmt::format("'{}'", GetParam().text)));
}

INSTANTIATE_TEST_SUITE_P(
    Size, BadSizes,
    ::testing::Values(BadSize{"", "expected"}, BadSize{"-1", "expected"}, BadSize{"four", "expected"},
                      BadSize{"4kib", "unit"}, BadSize{"4 KiB", "unit"}, BadSize{"4KB", "unit"},
                      BadSize{"4K", "unit"}, BadSize{"1.5MiB", "unit"}, BadSize{"sizes", "expected"},
                      BadSize{"size*", "expected"}, BadSize{"size*4294967296", "2^64-1"},
                      BadSize{"size/", "expected"}, BadSize{"size/0", "divides by zero"},
                      BadSize{"size+", "expected"}, BadSize{"size--1", "expected"}, BadSize{"0x", "expected"},
                      BadSize{"2^64", "2^64-1"}, BadSize{"2^", "expected"},
                      BadSize{"18446744073709551616", "2^64-1"}, BadSize{"16777216TiB", "2^64-1"},
                      BadSize{"99999999999999999999999", "2^64-1"}));

TEST(SizeExpression, OutOfRangeValuesAreRefused) {
    EXPECT_THAT(
        message_of<std::invalid_argument>([] { (void)SizeExpression::parse("size-4KiB").evaluate(kib); }),
        HasSubstr("'size-4KiB' is out of range for an export of 1024 bytes"));
    EXPECT_THROW((void)SizeExpression::parse("size+1").evaluate(most), std::invalid_argument);
    EXPECT_THROW((void)SizeExpression::parse("size+size").evaluate(most), std::invalid_argument);
}

TEST(SizeExpression, VariablesAreLookedUpByTheirNames) {
    constexpr std::string_view variables[] = {"size", "min", "minute"};
    const SizeExpression expression = SizeExpression::parse("size-minute*2+min/3", variables);
    const auto lookup = [](const std::string& name) {
        return name == "size" ? std::uint64_t{100} : name == "min" ? std::uint64_t{10} : std::uint64_t{7};
    };
    EXPECT_EQ(expression.evaluate(lookup), 100U - 14U + 3U);
    EXPECT_THAT(message_of<std::invalid_argument>([&] { (void)SizeExpression::parse("max", variables); }),
                HasSubstr("'minute' is expected"));
    EXPECT_THROW((void)SizeExpression::parse("min-size", variables).evaluate(lookup), std::invalid_argument);
}

TEST(SizeExpression, AFixedNumberNeedsNoText) {
    EXPECT_EQ(SizeExpression(77).evaluate(5), 77U);
}

TEST(SizeExpression, SumsOfTermsAreExact) {
    EXPECT_TRUE(rc::check("like the sum of its terms", [] {
        __extension__ using Wide = __int128;
        const auto size = *rc::gen::arbitrary<std::uint64_t>();
        const auto count = *rc::gen::inRange(1, 6);
        std::string text;
        Wide total = 0;
        for (int i = 0; i < count; ++i) {
            const bool negative = i > 0 && *rc::gen::arbitrary<bool>();
            text += i == 0 ? "" : negative ? "-" : "+";
            Wide value = 0;
            if (*rc::gen::arbitrary<bool>()) {
                const auto divisor = *rc::gen::inRange<std::uint64_t>(1, 9);
                text += divisor == 1 ? "size" : fmt::format("size/{}", divisor);
                value = size / divisor;
            } else {
                const auto unit = *rc::gen::inRange(0, 5);
                const auto number = *rc::gen::inRange<std::uint64_t>(0, 5000);
                text += std::to_string(number) + std::vector<std::string>{"", "KiB", "MiB", "GiB", "TiB"}.at(
                                                     static_cast<std::size_t>(unit));
                value = static_cast<Wide>(number) << (10 * unit);
            }
            total += negative ? -value : value;
        }
        const SizeExpression expression = SizeExpression::parse(text);
        if (total < 0 || total > static_cast<Wide>(most)) {
            RC_ASSERT_THROWS_AS((void)expression.evaluate(size), std::invalid_argument);
        } else {
            RC_ASSERT(expression.evaluate(size) == static_cast<std::uint64_t>(total));
        }
    }));
}

struct VersionCase {
    const char* range;
    const char* version;
    bool contained;
};

class VersionRanges : public ::testing::TestWithParam<VersionCase> {};

TEST_P(VersionRanges, Contain) {
    const VersionRange range = VersionRange::parse(GetParam().range);
    EXPECT_EQ(range.contains(GetParam().version), GetParam().contained)
        << GetParam().version << " in " << GetParam().range;
    EXPECT_EQ(range.text(), GetParam().range);
}

INSTANTIATE_TEST_SUITE_P(
    Version, VersionRanges,
    ::testing::Values(VersionCase{"all", "0.0.1", true}, VersionCase{">= 2.12", "2.12", true},
                      VersionCase{">= 2.12", "2.12.0", true}, VersionCase{">= 2.12", "2.11.9", false},
                      VersionCase{">= 2.12", "2.9", false}, VersionCase{">= 2.12", "10", true},
                      VersionCase{"> 2.12", "2.12", false}, VersionCase{"> 2.12", "2.12.1", true},
                      VersionCase{"< 9.0", "9", false}, VersionCase{"< 9.0", "8.99.99", true},
                      VersionCase{"< 9.0", "10.0", false}, VersionCase{"<= 3.24", "3.24.0", true},
                      VersionCase{"<= 3.24", "3.24.1", false}, VersionCase{"= 7.2.22", "7.2.22", true},
                      VersionCase{"= 7.2", "7.2.22", false}, VersionCase{"= 7.2.0", "7.2", true},
                      VersionCase{">= 2.12, < 9.0", "2.12", true}, VersionCase{">= 2.12, < 9.0", "8", true},
                      VersionCase{">= 2.12, < 9.0", "9.0", false}, VersionCase{">= 2.12, < 9.0", "1", false},
                      VersionCase{">=2.12,<9.0", "8.2", true}, VersionCase{"  < 9.0 ", "8", true},
                      VersionCase{">= 7.2", "7.2.22-rc1", true}, VersionCase{"< 7.3", "7.2+dfsg-7", true}));

TEST(VersionRange, ByDefaultTakesEveryVersion) {
    EXPECT_TRUE(VersionRange().contains("0"));
    EXPECT_TRUE(VersionRange().contains("99.1.2"));
}

class BadRanges : public ::testing::TestWithParam<const char*> {};

TEST_P(BadRanges, AreRefusedWithAnExample) {
    const std::string message =
        message_of<std::invalid_argument>([&] { (void)VersionRange::parse(GetParam()); });
    EXPECT_THAT(message, HasSubstr(fmt::format("'{}' is no range of versions", GetParam())));
    EXPECT_THAT(message, HasSubstr(">= 2.12, < 9.0"));
}

INSTANTIATE_TEST_SUITE_P(Version, BadRanges,
                         ::testing::Values("", "  ", "2.12", "any", "== 2", ">=", ">= x", "< 9.0,", ", < 9.0",
                                           ">= 2.12 < 9.0", ">= 2.12, 9.0", ">= 2.x", "< 9.0 beta", ">= 2..1",
                                           "~ 2"));

} // namespace
} // namespace harness
