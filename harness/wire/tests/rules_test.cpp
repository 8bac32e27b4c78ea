// Every rule: an exchange that keeps it breaks nothing at all, one that breaks it is noticed and attributed.

#include "harness/wire/tests/rule_cases.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace wire {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<RuleCase> all_cases() {
    std::vector<RuleCase> all;
    for (const auto& cases : {handshake_cases(), request_cases(), reply_cases(), resize_cases()}) {
        all.insert(all.end(), cases.begin(), cases.end());
    }
    return all;
}

TEST(Rules, AreKeptByTheGoodExchange) {
    for (const RuleCase& item : all_cases()) {
        Conversation conversation;
        item.good(conversation);
        EXPECT_EQ(conversation.told(), "") << item.requirement;
        EXPECT_NE(conversation.judge().state().phase, Phase::greeting)
            << item.requirement << ": nothing was said";
    }
}

TEST(Rules, AreBrokenByTheBadExchange) {
    for (const RuleCase& item : all_cases()) {
        Conversation conversation;
        item.bad(conversation);
        bool found = false;
        for (const Violation& violation : conversation.violations()) {
            found = found || (violation.requirement == item.requirement && violation.by == item.by);
        }
        EXPECT_TRUE(found) << item.requirement << " by the " << name(item.by)
                           << " was expected, this was found:\n"
                           << conversation.told();
    }
}

TEST(Rules, FindAnErrorAtTheLastOffsetInItsRequest) {
    constexpr std::uint64_t last = ~std::uint64_t{0};
    Conversation conversation;
    conversation.structured({}).request(nbd::Command::read, last, 1).error_at(nbd::Error::inval, last);
    EXPECT_THAT(conversation.told(), Not(HasSubstr("ERROR-OFFSET-IN-REQUEST")));
}

TEST(Rules, HaveACaseEach) {
    std::set<std::string_view> tested;
    for (const RuleCase& item : all_cases()) {
        tested.insert(item.requirement);
    }
    std::set<std::string_view> enforced;
    for (const Enforced& rule : enforced_requirements()) {
        enforced.insert(rule.requirement);
    }
    EXPECT_THAT(enforced, ::testing::ContainerEq(tested));
}

TEST(Rules, AreMany) {
    EXPECT_GE(enforced_requirements().size(), 120U);
}

TEST(Rules, LetAnExtentEndWithAnExportOfOddSize) {
    constexpr std::uint64_t size = 1024 * 1024 + 256;
    const auto found = [](const std::vector<nbd::StatusDescriptor>& extents) {
        Conversation c;
        c.structured({.size = size,
                      .block = nbd::InfoBlockSize{nbd::InfoType::block_size, 512, 4096, 1U << 20},
                      .contexts = {{1, std::string(nbd::base_allocation)}}});
        c.request(nbd::Command::block_status, size - 4096 - 256, 4096).status(1, extents);
        return c.told();
    };
    EXPECT_THAT(found({{2048, 0}, {2048 + 256, 3}}), Not(HasSubstr("STATUS-ALIGNED")));
    EXPECT_THAT(found({{2048 + 256, 0}, {1024, 3}}), HasSubstr("STATUS-ALIGNED"));
    EXPECT_THAT(found({{256, 0}, {2048 + 256, 3}}), HasSubstr("STATUS-ALIGNED"));
    EXPECT_THAT(found({{2048 + 256, 0}, {2048, 3}}), HasSubstr("STATUS-ALIGNED by the server: 1 extents"));
}

TEST(Rules, LeaveOpenWhatTheStatusOfNothingIs) {
    for (const std::uint16_t flags : {std::uint16_t{0}, nbd::command_flag::req_one}) {
        Conversation c;
        c.structured({.contexts = {{1, std::string(nbd::base_allocation)}}});
        c.request(nbd::Command::block_status, 0, 0, flags).status(1, {{4096, 0}, {4096, 3}});
        EXPECT_EQ(c.told(), "REQUEST-NOT-EMPTY by the client: the length is 0\n");
    }
}

} // namespace
} // namespace wire
