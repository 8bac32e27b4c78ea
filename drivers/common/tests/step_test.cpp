#include "drivers/common/error.hpp"
#include "drivers/common/step.hpp"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace driver {
namespace {

Step parse(const std::string& text) {
    return parse_step(boost::json::parse(text).as_object());
}

TEST(ParseStep, TakesWhatIsNotSaidFromTheProtocol) {
    const auto step =
        std::get<Transfer>(parse(R"({"id": 1, "op": "read", "offset": 4096, "length": 512, "into": "/f"})"));
    EXPECT_EQ(step.command, Command::read);
    EXPECT_EQ(step.connection, "a");
    EXPECT_EQ(step.offset, 4096U);
    EXPECT_EQ(step.length, 512U);
    EXPECT_EQ(step.flags, Flags{});
    EXPECT_EQ(step.file, "/f");
    EXPECT_EQ(step.count, 1U);
    EXPECT_EQ(step.stride, 512U);
    EXPECT_FALSE(step.background);
}

TEST(ParseStep, ReadsEveryFieldOfATransfer) {
    const auto step = std::get<Transfer>(parse(
        R"({"id": 1, "op": "zero", "connection": "b", "offset": 18446744073709551615, "length": 4294967296,
            "flags": ["fua", "no-hole", "fast"], "count": 1, "stride": 8192, "background": true})"));
    EXPECT_EQ(step.command, Command::zero);
    EXPECT_EQ(step.connection, "b");
    EXPECT_EQ(step.offset, 18446744073709551615U);
    EXPECT_EQ(step.length, 4294967296U);
    EXPECT_EQ(step.flags, (Flags{.fua = true, .no_hole = true, .fast = true}));
    EXPECT_EQ(step.stride, 8192U);
    EXPECT_TRUE(step.background);
}

TEST(ParseStep, KnowsEveryCommand) {
    const auto command = [](const std::string& rest) { return std::get<Transfer>(parse(rest)).command; };
    EXPECT_EQ(command(R"({"op": "write", "offset": 0, "length": 1, "from": "f"})"), Command::write);
    EXPECT_EQ(command(R"({"op": "trim", "offset": 0, "length": 1})"), Command::trim);
    EXPECT_EQ(command(R"({"op": "cache", "offset": 0, "length": 1})"), Command::cache);
}

TEST(ParseStep, ReadsTheOtherOperations) {
    EXPECT_EQ(
        std::get<Connect>(parse(R"({"op": "connect", "uri": "nbd://h", "connection": "x"})")).connection,
        "x");
    EXPECT_EQ(std::get<Connect>(parse(R"({"op": "connect", "uri": "nbd://h"})")).uri, "nbd://h");
    EXPECT_EQ(std::get<Info>(parse(R"({"op": "info", "uri": "nbd://h"})")).uri, "nbd://h");
    EXPECT_EQ(std::get<List>(parse(R"({"op": "list", "uri": "nbd://h"})")).uri, "nbd://h");
    EXPECT_TRUE(std::get<Flush>(parse(R"({"op": "flush", "flags": ["fua"]})")).flags.fua);
    const auto grow = std::get<Grow>(parse(R"({"op": "grow", "to": 18446744073709551615})"));
    EXPECT_EQ(grow.connection, "a");
    EXPECT_EQ(grow.to, 18446744073709551615U);
    EXPECT_EQ(std::get<Learn>(parse(R"({"op": "learn", "connection": "b"})")).connection, "b");
    const auto map = std::get<Map>(parse(R"({"op": "map", "offset": 1, "length": 2, "flags": ["req-one"]})"));
    EXPECT_EQ(map.offset, 1U);
    EXPECT_EQ(map.length, 2U);
    EXPECT_TRUE(map.flags.req_one);
    EXPECT_FALSE(std::get<Disconnect>(parse(R"({"op": "disconnect"})")).abrupt);
    EXPECT_TRUE(std::get<Disconnect>(parse(R"({"op": "disconnect", "abrupt": true})")).abrupt);
    EXPECT_EQ(std::get<Finish>(parse(R"({"op": "finish", "of": 7})")).of, 7U);
}

TEST(ParseStep, AcceptsTheBounds) {
    EXPECT_NO_THROW(parse(R"({"op": "read", "offset": 0, "length": 1073741824, "into": "f"})"));
    EXPECT_NO_THROW(parse(R"({"op": "read", "offset": 0, "length": 1024, "count": 1048576, "into": "f"})"));
    EXPECT_NO_THROW(parse(R"({"op": "trim", "offset": 18446744073709551615, "length": 1, "count": 2,
                              "stride": 0})"));
    EXPECT_NO_THROW(parse(R"({"op": "trim", "offset": 0, "length": 18446744073709551615})"));
}

struct Bad {
    const char* step;
    const char* errno_name;
    const char* message; ///< part of it
};

class BadStep : public testing::TestWithParam<Bad> {};

TEST_P(BadStep, IsRefusedByTheDriver) {
    try {
        (void)parse(GetParam().step);
        FAIL() << GetParam().step << " was accepted";
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.error().where, Where::driver);
        EXPECT_EQ(failure.error().errno_name, GetParam().errno_name);
        EXPECT_THAT(failure.error().message, testing::HasSubstr(GetParam().message));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadStep,
    testing::Values(
        Bad{R"({"id": 1})", "EINVAL", R"("op" is missing)"},
        Bad{R"({"op": 5})", "EINVAL", R"("op" has to be text)"},
        Bad{R"({"op": "shrink"})", "ENOTSUP", R"("shrink" is unknown)"},
        Bad{R"({"op": ""})", "ENOTSUP", "unknown"},
        Bad{R"({"op": "Read", "offset": 0, "length": 1, "into": "f"})", "ENOTSUP", "unknown"},
        Bad{R"({"op": "connect"})", "EINVAL", R"("uri" is missing)"},
        Bad{R"({"op": "connect", "uri": ["nbd://h"]})", "EINVAL", R"("uri" has to be text)"},
        Bad{R"({"op": "connect", "uri": "nbd://h", "connection": 1})", "EINVAL", "connection"},
        Bad{R"({"op": "connect", "uri": "nbd://h\u0000"})", "EINVAL", "NUL"},
        Bad{R"({"op": "connect", "uri": "nbd://h", "offset": 0})", "EINVAL", R"(no field "offset")"},
        Bad{R"({"op": "info", "uri": "nbd://h", "connection": "a"})", "EINVAL", R"(no field "connection")"},
        Bad{R"({"op": "read", "length": 1, "into": "f"})", "EINVAL", R"("offset" is missing)"},
        Bad{R"({"op": "read", "offset": 0, "into": "f"})", "EINVAL", R"("length" is missing)"},
        Bad{R"({"op": "read", "offset": 0, "length": 1})", "EINVAL", R"("into" is missing)"},
        Bad{R"({"op": "write", "offset": 0, "length": 1})", "EINVAL", R"("from" is missing)"},
        Bad{R"({"op": "write", "offset": 0, "length": 1, "from": "f", "into": "f"})", "EINVAL", "into"},
        Bad{R"({"op": "zero", "offset": 0, "length": 1, "from": "f"})", "EINVAL", "from"},
        Bad{R"({"op": "trim", "offset": -1, "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": 1.5, "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": 1.0, "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": "0", "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": null, "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": 18446744073709551616, "length": 1})", "EINVAL", "offset"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "flags": "fua"})", "EINVAL", "array"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "flags": ["FUA"]})", "EINVAL", "FUA"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "flags": [1]})", "EINVAL", "flags"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "count": 0})", "EINVAL", "count"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "count": 1048577})", "EINVAL", "count"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "background": 1})", "EINVAL", "background"},
        Bad{R"({"op": "trim", "offset": 0, "length": 1, "Count": 1})", "EINVAL", R"(no field "Count")"},
        Bad{R"({"op": "trim", "offset": 18446744073709551615, "length": 1, "count": 2})", "EINVAL",
            "64 bits"},
        Bad{R"({"op": "trim", "offset": 0, "length": 18446744073709551615, "count": 3})", "EINVAL",
            "64 bits"},
        Bad{R"({"op": "read", "offset": 0, "length": 1073741825, "into": "f"})", "EINVAL", "1073741824"},
        Bad{R"({"op": "write", "offset": 0, "length": 2048, "count": 1048576, "from": "f"})", "EINVAL",
            "1073741824"},
        Bad{R"({"op": "flush", "offset": 0})", "EINVAL", R"(no field "offset")"},
        Bad{R"({"op": "map", "offset": 0})", "EINVAL", R"("length" is missing)"},
        Bad{R"({"op": "map", "offset": 0, "length": 1, "background": true})", "EINVAL", "background"},
        Bad{R"({"op": "disconnect", "abrupt": "yes"})", "EINVAL", "abrupt"},
        Bad{R"({"op": "finish"})", "EINVAL", R"("of" is missing)"},
        Bad{R"({"op": "finish", "of": "1"})", "EINVAL", "of"}));

} // namespace
} // namespace driver
