// Each fault of clients shows, in a conversation of the reference client with the reference server, and what
// the wire judge enforces it reports.

#include "faults/catalogue.hpp"
#include "faults/make.hpp"
#include "faults/tests/client_scenes.hpp"
#include "harness/wire/rule.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

namespace faults::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// One server for all tests, on which all areas have been written to.
const Server& server() {
    static const Server running;
    static const bool written = [] {
        return see(running, sound(), talk::commands, usual()).outcome.find("failed") == std::string::npos;
    }();
    EXPECT_TRUE(written);
    return running;
}

bool enforced(std::string_view requirement) {
    static const auto all = wire::enforced_requirements();
    return std::ranges::find(all, requirement, &wire::Enforced::requirement) != all.end();
}

const Fault& fault_of(const Scene& scene) {
    const Fault* const fault = find(client_faults(), scene.fault);
    if (fault == nullptr) {
        throw std::runtime_error(fmt::format("there is no fault {}", scene.fault));
    }
    return *fault;
}

Seen without_fault(const Scene& scene) {
    return see(server(), scene.server, scene.talk, scene.options);
}

Seen with_fault(const Scene& scene) {
    refclient::Options options = scene.options;
    options.wire_fault = &fault_of(scene);
    return see(server(), scene.server, scene.talk, options);
}

std::string title(const ::testing::TestParamInfo<Scene>& scene) {
    std::string name(scene.param.fault);
    std::ranges::replace(name, '-', '_');
    return name;
}

class Sends : public ::testing::TestWithParam<Scene> {};

TEST_P(Sends, what_is_wrong) {
    const Scene& scene = GetParam();
    const Seen right = without_fault(scene);
    EXPECT_THAT(right.broken, IsEmpty()) << fmt::format("{}", fmt::join(right.details, "\n"));

    const Seen wrong = with_fault(scene);
    EXPECT_TRUE(wrong.sent != right.sent || wrong.connections != right.connections)
        << "nothing is sent otherwise";
    const std::string requirement(fault_of(scene).requirement);
    const auto expected =
        scene.broken.value_or(enforced(requirement) ? std::set{requirement} : std::set<std::string>());
    EXPECT_EQ(wrong.broken, expected) << fmt::format("{}\n{}", fmt::join(wrong.details, "\n"), wrong.outcome);
}

INSTANTIATE_TEST_SUITE_P(Clients, Sends, ::testing::ValuesIn(wrong_sent()), title);

class Accepts : public ::testing::TestWithParam<Scene> {};

TEST_P(Accepts, what_is_wrong) {
    const Scene& scene = GetParam();
    EXPECT_THAT(without_fault(scene).outcome, HasSubstr(std::string(scene.mark)));
    EXPECT_THAT(with_fault(scene).outcome, Not(HasSubstr(std::string(scene.mark))));
}

INSTANTIATE_TEST_SUITE_P(Clients, Accepts, ::testing::ValuesIn(wrong_accepted()), title);

class Refuses : public ::testing::TestWithParam<Scene> {};

TEST_P(Refuses, what_is_right) {
    const Scene& scene = GetParam();
    const Seen right = without_fault(scene);
    EXPECT_THAT(right.outcome, Not(HasSubstr(std::string(scene.mark))));
    EXPECT_THAT(right.broken, IsEmpty()) << fmt::format("{}", fmt::join(right.details, "\n"));
    EXPECT_NE(with_fault(scene).outcome, right.outcome);
}

INSTANTIATE_TEST_SUITE_P(Clients, Refuses, ::testing::ValuesIn(wrong_refused()), title);

using BreaksDown = Refuses;

TEST_P(BreaksDown, on_what_is_unusual) {
    const Scene& scene = GetParam();
    EXPECT_NE(without_fault(scene).outcome, "");
    // A process of its own, with a server of its own: this one has threads.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    // On a busy machine a scene may be over before what breaks it has come: so it is played until it breaks.
    const auto until_it_breaks = [&] {
        for (int i = 0; i < 100; ++i) {
            (void)with_fault(scene);
        }
    };
    EXPECT_EXIT(until_it_breaks(), ::testing::KilledBySignal(SIGABRT), "");
}

INSTANTIATE_TEST_SUITE_P(Clients, BreaksDown, ::testing::ValuesIn(broken_down()), title);

TEST(ClientFaults, are_all_here) {
    // What it does to the memory of its process is not for one that has other things to test.
    std::set<std::string_view> here{"grow-with-size"};
    for (const auto& scenes : {wrong_sent(), wrong_accepted(), wrong_refused(), broken_down()}) {
        for (const Scene& scene : scenes) {
            EXPECT_TRUE(here.insert(scene.fault).second) << scene.fault << " has two scenes";
        }
    }
    // What comes of a URI is seen in uri_faults_test.cpp.
    for (const Fault& fault : client_faults()) {
        EXPECT_EQ(here.contains(fault.name), fault.uri == nullptr) << fault.name;
    }
    EXPECT_EQ(static_cast<std::ptrdiff_t>(here.size()),
              std::ranges::count(client_faults(), nullptr, &Fault::uri));
}

} // namespace
} // namespace faults::testing
