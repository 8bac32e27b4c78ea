// The suite of lives notices what it is there for: combinations live as they should, and a rule that either
// reference breaks on demand shows.

#include "harness/exhaustive/life_report.hpp"
#include "harness/exhaustive/lives.hpp"
#include "harness/process/errors.hpp"
#include "harness/process/workspace.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace harness {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Fault {
    std::string name;
    std::string requirement;
};

/// What a program's --list-faults prints.
std::vector<Fault> faults_of(const std::string& program) {
    const std::string command = std::string(NBD_BIN_DIR) + "/" + program + " --list-faults";
    std::string text;
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe != nullptr) {
        std::array<char, 4096> part{};
        while (const std::size_t count = std::fread(part.data(), 1, part.size(), pipe)) {
            text.append(part.data(), count);
        }
        EXPECT_EQ(::pclose(pipe), 0) << command;
    }
    std::vector<Fault> faults;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        Fault fault;
        std::getline(fields, fault.name, '\t');
        std::getline(fields, fault.requirement, '\t');
        // Lives are about the RESIZE draft; the faults of the base protocol are for conformance cases.
        if (fault.requirement.starts_with("RZ-")) {
            faults.push_back(fault);
        }
    }
    return faults;
}

class LivesTest : public ::testing::Test {
  protected:
    /// Each of the combinations whose index is a multiple of `every`.
    [[nodiscard]] std::vector<std::size_t> sample(std::size_t every) const {
        std::vector<std::size_t> indices;
        for (std::size_t index = 0; index < knobs_.count(); index += every) {
            indices.push_back(index);
        }
        return indices;
    }

    [[nodiscard]] Lives lead(const std::vector<std::size_t>& combinations,
                             const std::vector<std::string>& server_faults = {},
                             const std::vector<std::string>& client_faults = {}) {
        const bool any = !server_faults.empty() || !client_faults.empty();
        const LifePlace place{&suite_,           &knobs_,       &oracle_,      NBD_BIN_DIR, &workspace_,
                              workspace_.path(), server_faults, client_faults, any};
        return lead_lives(place, combinations, 2, [](std::size_t) {});
    }

    const LifeSuite suite_ = load_life_suite(NBD_SOURCE_DIR "/scenarios/resize/exhaustive.yaml");
    const Knobs knobs_ = Knobs::load(NBD_SOURCE_DIR "/scenarios/knobs.yaml");
    const Oracle oracle_ = Oracle::load(suite_.life, knobs_);
    Workspace workspace_;
};

TEST_F(LivesTest, CombinationsLiveAsTheyShould) {
    // A prime, so that each value of each knob meets each other one.
    const auto combinations = sample(97);
    const Lives lives = lead(combinations);
    EXPECT_EQ(lives.executed, combinations.size());
    for (const UnexpectedLife& life : lives.unexpected) {
        ADD_FAILURE() << knobs_.text(knobs_.combination(life.combination)) << ": " << life.reason
                      << (life.wrong.empty() ? "" : oracle_.questions()[life.wrong.front().question].name);
    }
    EXPECT_GT(lives.judged_connections, combinations.size() / suite_.judge_every);
    for (const WireFinding& finding : lives.wire) {
        ADD_FAILURE() << finding.requirement << " by the " << wire::name(finding.by) << ": " << finding.what;
    }
    // One for each configuration of the server, and one for what went over the wire.
    const auto cases = life_cases(suite_, knobs_, oracle_, lives, false);
    EXPECT_THAT(cases, SizeIs(knobs_.configurations(Side::server).size() + 1));
}

TEST_F(LivesTest, ABrokenRuleShowsOnTheWire) {
    // Every combination of this sample is judged.
    const Lives lives = lead(sample(17 * 30), {"chunk-unknown-flag"});
    EXPECT_THAT(lives.wire, ::testing::Contains(::testing::Field(&WireFinding::requirement, "RZ-CHUNK-1")));
    EXPECT_THAT(lives.wire, ::testing::Each(::testing::Field(&WireFinding::by, wire::Side::server)));
    const auto cases = life_cases(suite_, knobs_, oracle_, lives, false);
    EXPECT_EQ(cases.back().verdict, reports::Verdict::fail);
    EXPECT_EQ(cases.back().party, reports::Party::server);
}

/// Faults that a single life does not meet; the references' own tests show that they make a difference.
const std::map<std::string, const char*> elsewhere{
    {"server info-counts-without-go", "takes NBD_OPT_INFO before NBD_OPT_GO"},
    {"server range-not-widened", "takes NBD_INFO_RESIZE after an outside change"},
    {"server room-before-read-only", "takes a read-only export"},
    {"server shrink-grows", "takes a shrink to just below an unaligned size"},
    {"server first-size-kept", "takes a client that does not read"},
    {"server merge-untold", "takes a client that does not read"},
    {"server merge-adds-flags", "takes a client that does not read"},
    {"server shutdown-untold", "takes the end of the server"},
    {"server disconnect-answered", "takes a client that leaves without a cancel"},
    {"client information-of-any-length", "takes a server that breaks a rule"},
    {"client refuse-unknown-capabilities", "takes a server that breaks a rule"},
    {"client shrink-grows", "takes a shrink to just below an unaligned size"},
    {"client touch-changing-area", "is answered by the server all the same"},
    {"client two-subscriptions", "takes a client that begins twice"},
    {"client accept-beyond-credit", "takes a server that breaks a rule"},
    {"client bear-floods", "takes a server that breaks a rule"},
    {"client size-of-any-length", "takes a server that breaks a rule"},
    {"client refuse-unknown-size-flags", "takes a server that breaks a rule"}};

TEST_F(LivesTest, ABrokenRuleShows) {
    const auto combinations = sample(211);
    std::set<std::string> noticed;
    const auto check = [&](const std::string& side, const Fault& fault, const Lives& lives) {
        const std::string name = side + " " + fault.name;
        if (lives.unexpected_count > 0) {
            noticed.insert(fault.requirement);
        } else {
            EXPECT_TRUE(elsewhere.contains(name))
                << name << ": " << fault.requirement << " can be broken unnoticed";
        }
    };
    const auto server_faults = faults_of("nbd-resize-server");
    const auto client_faults = faults_of("nbd-resize-client");
    ASSERT_THAT(server_faults, Not(IsEmpty()));
    ASSERT_THAT(client_faults, Not(IsEmpty()));
    for (const Fault& fault : server_faults) {
        check("server", fault, lead(combinations, {fault.name}));
    }
    for (const Fault& fault : client_faults) {
        check("client", fault, lead(combinations, {}, {fault.name}));
    }
    EXPECT_GE(noticed.size(), 40U) << "statements that are seen to be broken";
}

TEST_F(LivesTest, AServerThatCannotBeStartedIsNoVerdict) {
    LifeSuite broken = suite_;
    broken.server = {"{bin}/nbd-resize-server", "--no-such-option"};
    const LifePlace place{&broken, &knobs_, &oracle_, NBD_BIN_DIR, &workspace_, workspace_.path()};
    EXPECT_THROW(static_cast<void>(lead_lives(place, {0}, 1, [](std::size_t) {})), PeerGone);
}

TEST_F(LivesTest, ADriverThatKnowsOtherQuestionsIsRefused) {
    LifeSuite broken = suite_;
    broken.client = {"sh", "-c", R"(echo '{"life":["style"]}'; exit 3)"};
    const LifePlace place{&broken, &knobs_, &oracle_, NBD_BIN_DIR, &workspace_, workspace_.path()};
    EXPECT_THROW(static_cast<void>(lead_lives(place, {0}, 1, [](std::size_t) {})), CatalogueError);
}

TEST_F(LivesTest, ADriverThatEndsCostsEachCombinationAVerdictAndNoneIsCountedAsExpected) {
    std::string questions;
    for (const Question& question : oracle_.questions()) {
        questions += (questions.empty() ? "\"" : ",\"") + question.name + "\"";
    }
    LifeSuite broken = suite_;
    broken.client = {"sh", "-c", R"(echo "$0"; read line; exit 3)", R"({"life":[)" + questions + "]}"};
    const LifePlace place{&broken, &knobs_, &oracle_, NBD_BIN_DIR, &workspace_, workspace_.path()};
    const Lives lives = lead_lives(place, {0, 1, 2}, 1, [](std::size_t) {});
    EXPECT_EQ(lives.executed, 3U);
    EXPECT_EQ(lives.unexpected_count, 3U);
    for (const UnexpectedLife& life : lives.unexpected) {
        EXPECT_EQ(life.verdict, reports::Verdict::crash);
        EXPECT_EQ(life.party, reports::Party::client);
    }
    EXPECT_THAT(life_cases(suite_, knobs_, oracle_, lives, false), SizeIs(3))
        << "one each, and none rolled up";
}

} // namespace
} // namespace harness
