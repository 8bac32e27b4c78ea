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
    ServerCase load(std::string_view steps, std::string_view needs = "resizable") {
        const auto file = folder_ / "cases.yaml";
        write_file(file, "section: Here\ncases:\n- case: it\n  title: It\n  needs: [" + std::string(needs) +
                             "]\n  room: 4KiB\n  steps:\n" + std::string(steps));
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

TEST_F(Steps, WhatIsDoneToTheServerIsAskedFor) {
    const std::pair<const char*, const char*> steps[] = {
        {"  - shut-down: true\n  - usable: RULE\n", "needs started"},
        {"  - resize-outside: size+1MiB\n  - usable: RULE\n", "needs outside"}};
    for (const auto& [text, why] : steps) {
        EXPECT_THAT(message_of<CatalogueError>([&, text = text] { load(text); }), HasSubstr(why));
    }
    const ServerCase made = load("  - shut-down: true\n  - resize-outside: size+1MiB\n  - usable: RULE\n",
                                 "resizable, started, outside");
    EXPECT_EQ(made.steps[0].kind, CheckStep::Kind::shut_down);
    EXPECT_EQ(made.steps[1].kind, CheckStep::Kind::outside);
    EXPECT_TRUE(made.steps[1].size);
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

nbd::Chunk chunk_of(nbd::ChunkType type) {
    nbd::Chunk header;
    header.type = type;
    return header;
}

nbd::Buffer content_of(std::uint64_t offset, std::size_t length) {
    nbd::Buffer payload = nbd::encode(nbd::OffsetData{offset});
    payload.resize(payload.size() + length);
    return payload;
}

nbd::Buffer error_at(std::uint64_t offset) {
    return nbd::encode(nbd::ErrorOffsetChunk{nbd::Error::io, {}, offset});
}

TEST(RequestOutcomeFields, CountPiecesThatBeginOrEndInTheMiddleOfASector) {
    RequestOutcome outcome;
    outcome.request.offset = 100;
    outcome.request.length = 2000;
    const std::pair<std::uint64_t, std::size_t> even[] = {{100, 412}, {512, 1024}, {1536, 564}};
    for (const auto& [offset, length] : even) {
        outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::offset_data), content_of(offset, length)});
    }
    EXPECT_EQ(outcome.fields().at("uneven-chunks"), 0U) << "the edges of the request may be anywhere";
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::offset_data), content_of(512, 1000)});
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::offset_data), content_of(1512, 24)});
    EXPECT_EQ(outcome.fields().at("uneven-chunks"), 2U);
}

TEST(RequestOutcomeFields, CountPiecesWithSeveralErrors) {
    RequestOutcome outcome;
    outcome.request.length = 2048;
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::offset_data), content_of(0, 1024)});
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::offset_data), content_of(1024, 1024)});
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::error_offset), error_at(0)});
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::error_offset), error_at(1024)});
    EXPECT_EQ(outcome.fields().at("crowded-errors"), 0U);
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::error_offset), error_at(1023)});
    outcome.take(ChunkAnswer{chunk_of(nbd::ChunkType::error_offset), error_at(5)});
    EXPECT_EQ(outcome.fields().at("crowded-errors"), 1U);
}

TEST(RequestOutcomeFields, CountExtentsThatAreUnevenEqualOrHoles) {
    RequestOutcome outcome;
    outcome.request.offset = 512;
    outcome.request.length = 4096;
    constexpr std::uint32_t hole = nbd::allocation_flag::hole;
    outcome.take(
        ChunkAnswer{chunk_of(nbd::ChunkType::block_status),
                    nbd::encode(nbd::BlockStatus{1, {{1024, 0}, {1000, hole}, {1048, hole}, {9999, 0}}})});
    EXPECT_EQ(outcome.fields().at("hole-bytes"), 2048U);
    EXPECT_EQ(outcome.fields().at("equal-neighbours"), 1U);
    EXPECT_EQ(outcome.fields().at("uneven-extents"), 1U) << "the last one may end beyond the request";
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
