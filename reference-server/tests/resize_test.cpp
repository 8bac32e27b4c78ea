// The RESIZE extension from bytes to bytes. That the cases can fail is shown by breaking the statements that
// they cover, one at a time.

#include "reference-server/resize/faults.hpp"
#include "reference-server/tests/resize_cases.hpp"
#include "reference-server/tests/resize_script.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>

namespace refserver {

static void PrintTo(const FaultEntry& fault, std::ostream* out) {
    *out << fault.name;
}

namespace {

class ResizeTest : public testing::TestWithParam<ResizeCase> {};

TEST_P(ResizeTest, is_as_the_draft_says) {
    const auto difference = play(GetParam().knobs, GetParam().script);
    EXPECT_FALSE(difference) << GetParam().covers << "\n" << *difference;
}

INSTANTIATE_TEST_SUITE_P(Resize, ResizeTest, testing::ValuesIn(resize_cases().begin(), resize_cases().end()),
                         [](const auto& each) { return std::string(each.param.name); });

class FaultTest : public testing::TestWithParam<FaultEntry> {};

bool covers(const ResizeCase& c, std::string_view statement) {
    return fmt::format(" {} ", c.covers).find(fmt::format(" {} ", statement)) != std::string::npos;
}

TEST_P(FaultTest, is_noticed_by_a_case_that_covers_its_statement) {
    const FaultEntry& fault = GetParam();
    const auto cases = resize_cases();
    EXPECT_TRUE(std::any_of(cases.begin(), cases.end(), [&](const ResizeCase& c) {
        return covers(c, fault.requirement) &&
               play(fmt::format("{},fault={}", c.knobs, fault.name), c.script);
    })) << fault.sentence;
}

INSTANTIATE_TEST_SUITE_P(Resize, FaultTest, testing::ValuesIn(all_faults().begin(), all_faults().end()),
                         [](const auto& each) {
                             std::string name(each.param.name);
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

} // namespace
} // namespace refserver
