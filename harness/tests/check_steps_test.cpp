// What conformance cases say of several requests, of subscriptions and of numbers in payloads.

#include "harness/check/answers.hpp"
#include "harness/check/server_case.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Steps : public ::testing::Test {
  protected:
    Steps() {
        Requirement must;
        must.level = Level::must;
        must.bound = Bound::server;
        requirements_["RULE"] = must;
    }

    /// The case with these steps.
    ServerCase load(std::string_view steps) {
        const auto file = folder_ / "cases.yaml";
        write_file(
            file,
            "section: Here\ncases:\n- case: it\n  title: It\n  needs: [resizable]\n  room: 4KiB\n  steps:\n" +
                std::string(steps));
        std::vector<ServerCase> cases;
        load_server_cases(YamlNode::load(file), requirements_, cases);
        return cases.front();
    }

    TempFolder folder_;
    Requirements requirements_;
};

TEST_F(Steps, ManyAnswersAreAwaited) {
    const ServerCase made = load("  - send: { request: NBD_CMD_READ, length: 1 }\n    times: 20\n"
                                 "  - settled: RULE\n  - in-step: RULE\n");
    ASSERT_EQ(made.steps.size(), 3U);
    EXPECT_EQ(made.steps[0].times, 20U);
    EXPECT_EQ(made.steps[1].kind, CheckStep::Kind::settled);
    EXPECT_EQ(made.steps[2].kind, CheckStep::Kind::in_step);
    EXPECT_TRUE(made.room);
}

TEST_F(Steps, TimesHaveLimits) {
    for (const char* times : {"0", "10001"}) {
        EXPECT_THAT(message_of<CatalogueError>([&] {
                        load("  - send: { request: NBD_CMD_READ }\n    times: " + std::string(times) +
                             "\n  - usable: RULE\n");
                    }),
                    HasSubstr("1 to 10000 times"));
    }
}

TEST_F(Steps, ConditionsNameRequestsThatWereSent) {
    const std::string send = "  - send: { request: NBD_CMD_READ, length: 1, as: read }\n";
    const ServerCase made =
        load(send + "  - usable: RULE\n    if-success: read\n  - usable: RULE\n    if-error: read\n");
    EXPECT_EQ(made.steps[1].given, "read");
    EXPECT_TRUE(made.steps[1].given_success);
    EXPECT_EQ(made.steps[2].given, "read");
    EXPECT_FALSE(made.steps[2].given_success);
    EXPECT_THAT(message_of<CatalogueError>([&] { load(send + "  - usable: RULE\n    if-error: raed\n"); }),
                HasSubstr("no request is called 'raed'"));
}

TEST_F(Steps, NumbersInPayloadsAreInNetworkByteOrder) {
    const ServerCase made = load("  - send: { bytes: [{ number: 64KiB, bytes: 8 }, { number: context, bytes: "
                                 "4 }] }\n  - usable: RULE\n");
    const Surroundings with{
        [](const std::string& name) -> std::uint64_t { return name == "context" ? 7 : 0; }, "",
        nbd::HeaderStyle::extended};
    EXPECT_THAT(made.steps[0].messages[0].encode(with, 1), ElementsAre(0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7));
    EXPECT_THAT(message_of<CatalogueError>([&] { load("  - send: { bytes: { number: 1, bytes: 9 } }\n"); }),
                HasSubstr("1 to 8 bytes"));
}

TEST(RequestOutcomeFields, TellTheFirstStatusAndWhetherTheReplyIsDone) {
    RequestOutcome outcome;
    outcome.request.type = nbd::Command::block_status;
    ChunkAnswer status;
    status.chunk.type = nbd::ChunkType::block_status;
    status.payload = {0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 4, 0, 0, 0, 0, 0};
    outcome.take(status);
    EXPECT_EQ(outcome.fields().at("done"), 0U);
    EXPECT_EQ(outcome.fields().at("first-status"), 3U);
    EXPECT_EQ(outcome.fields().at("first-extent"), 512U);
    ChunkAnswer end;
    end.chunk.type = nbd::ChunkType::none;
    end.chunk.flags = nbd::reply_flag::done;
    outcome.take(end);
    EXPECT_EQ(outcome.fields().at("done"), 1U);
    EXPECT_EQ(outcome.fields().at("first-status"), 3U);
}

} // namespace
} // namespace harness::check
