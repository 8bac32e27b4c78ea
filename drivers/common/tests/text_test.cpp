#include "drivers/common/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace driver {
namespace {

const std::string mark = "\xef\xbf\xbd";

struct Conversion {
    const char* title;
    std::string from;
    std::string to;
};

class ToUtf8 : public testing::TestWithParam<Conversion> {};

TEST_P(ToUtf8, KeepsWellFormedAndMarksTheRest) {
    EXPECT_EQ(to_utf8(GetParam().from), GetParam().to);
}

INSTANTIATE_TEST_SUITE_P(
    Text, ToUtf8,
    testing::Values(Conversion{"Empty", "", ""}, Conversion{"Ascii", "disk 1\n", "disk 1\n"},
                    Conversion{"TwoBytes", "\xc3\xa9", "\xc3\xa9"},
                    Conversion{"ThreeBytes", "\xe2\x82\xac", "\xe2\x82\xac"},
                    Conversion{"FourBytes", "\xf0\x9f\x92\xbe", "\xf0\x9f\x92\xbe"},
                    Conversion{"Largest", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
                    Conversion{"LoneContinuation", "a\x80z", "a" + mark + "z"},
                    Conversion{"Latin1", "caf\xe9", "caf" + mark},
                    Conversion{"CutOff", "\xe2\x82", mark + mark},
                    Conversion{"Overlong2", "\xc0\xaf", mark + mark},
                    Conversion{"Overlong3", "\xe0\x80\xaf", mark + mark + mark},
                    Conversion{"Overlong4", "\xf0\x80\x80\xaf", mark + mark + mark + mark},
                    Conversion{"Surrogate", "\xed\xa0\x80", mark + mark + mark},
                    Conversion{"TooLarge", "\xf4\x90\x80\x80", mark + mark + mark + mark},
                    Conversion{"ResumesAtOnce", "\xe2\x28\xa1", mark + "(" + mark}),
    [](const auto& test) { return std::string(test.param.title); });

} // namespace
} // namespace driver
