// A client that is told to breaks down, and on nothing else than it is told.

#include "reference-client/fault_names.hpp"
#include "reference-client/fragility.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <unistd.h>

namespace refclient {
namespace {

constexpr FailureKind kinds[] = {FailureKind::server, FailureKind::local, FailureKind::connection,
                                 FailureKind::protocol};

TEST(Fragility, NamesEachOnce) {
    std::set<std::string_view> names;
    for (const Fragility& fragility : all_fragilities()) {
        EXPECT_TRUE(names.insert(fragility.name).second) << fragility.name;
        EXPECT_EQ(find_fragility(fragility.name), &fragility);
        EXPECT_EQ(fault_problem(std::string(fragility.name)), "");
        Options options;
        add_fault(options, std::string(fragility.name));
        EXPECT_EQ(options.fragility, &fragility);
        EXPECT_EQ(options.wire_fault, nullptr);
    }
    EXPECT_EQ(find_fragility("no such fault"), nullptr);
}

TEST(Fragility, BearsAllOtherTrouble) {
    for (const Fragility& fragility : all_fragilities()) {
        for (const Phase phase : {Phase::handshake, Phase::transmission}) {
            for (const FailureKind kind : kinds) {
                meet_trouble(nullptr, phase, kind);
                if (phase != fragility.phase || kind != fragility.trouble) {
                    meet_trouble(&fragility, phase, kind);
                }
            }
        }
    }
}

TEST(FragilityDeathTest, BreaksDown) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    for (const Fragility& fragility : all_fragilities()) {
        const int signal = fragility.collapse == Collapse::abort ? SIGABRT : SIGALRM;
        EXPECT_EXIT(
            {
                ::alarm(2); // a wait without end ends by this one
                meet_trouble(&fragility, fragility.phase, fragility.trouble);
            },
            ::testing::KilledBySignal(signal), "")
            << fragility.name;
    }
}

} // namespace
} // namespace refclient
