// Every rule: an exchange that keeps it breaks nothing at all, one that breaks it is noticed and attributed.

#include "harness/wire/tests/rule_cases.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace wire {
namespace {

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

} // namespace
} // namespace wire
