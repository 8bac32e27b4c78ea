#include "harness/check/answers.hpp"
#include "harness/check/incoming.hpp"
#include "harness/check/outgoing.hpp"
#include "harness/check/server_case.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

/// A file of YAML and what the language of the cases makes of it.
class CheckLanguage : public ::testing::Test {
  protected:
    YamlNode load(std::string_view text) {
        write_file(file_, text);
        return YamlNode::load(file_);
    }
    nbd::Buffer bytes_of(std::string_view message) {
        const Surroundings with{{}, "disk", nbd::HeaderStyle::compact, {}};
        return Outgoing::read(load(message), {}).encode(with, 1);
    }

    TempFolder folder_;
    std::filesystem::path file_ = folder_ / "some.yaml";
};

TEST_F(CheckLanguage, QueryLengthIsOfTheLastQuery) {
    nbd::Buffer right = bytes_of("{ option: 9, name: { text: '{export}' }, queries: ['a:', 'b:c'] }");
    const nbd::Buffer wrong = bytes_of(
        "{ option: 9, name: { text: '{export}' }, queries: ['a:', 'b:c'], query-length: 0x01020304 }");
    // 16 bytes of header, 8 of name, 4 of count, 6 of the first query.
    const std::size_t at = 16 + 8 + 4 + 6;
    ASSERT_EQ(right.at(at + 3), 3);
    for (std::uint8_t i = 0; i < 4; ++i) {
        right.at(at + i) = i + 1;
    }
    EXPECT_EQ(wrong, right);
}

TEST_F(CheckLanguage, QueryLengthNeedsAQuery) {
    EXPECT_THAT(message_of<CatalogueError>(
                    [&] { bytes_of("{ option: 9, name: '00', queries: [], query-length: 3 }"); }),
                HasSubstr("there is none"));
}

TEST_F(CheckLanguage, ConnectSaysHowFar) {
    Requirements requirements;
    requirements["SOME"].bound = Bound::server;
    std::vector<ServerCase> cases;
    load_server_cases(
        load("section: x\n"
             "cases:\n"
             "- { case: one, title: x, start: connected, steps: [ { connect: 2 }, { connect: 3, "
             "start: haggling }, { ends: SOME } ] }\n"),
        requirements, cases);
    ASSERT_EQ(cases.size(), 1U);
    EXPECT_EQ(cases[0].start, Start::connected);
    EXPECT_EQ(cases[0].steps.at(0).start, std::nullopt);
    EXPECT_EQ(cases[0].steps.at(1).start, Start::haggling);
}

TEST_F(CheckLanguage, ListedIsTheFirstNameOfTheList) {
    const Outgoing message = Outgoing::read(load("{ bytes: { text: '<{listed}>' } }"), {});
    Surroundings with{{}, "disk", nbd::HeaderStyle::compact, "a", "b"};
    EXPECT_EQ(message.encode(with, 1), (nbd::Buffer{'<', 'a', '>'}));
    const Outgoing other = Outgoing::read(load("{ bytes: { text: '{other}' } }"), {});
    EXPECT_EQ(other.encode(with, 1), (nbd::Buffer{'b'}));
    with.listed_name.reset();
    with.other_name.reset();
    EXPECT_THAT(message_of<std::invalid_argument>([&] { (void)other.encode(with, 1); }),
                HasSubstr("no other export"));
    EXPECT_THAT(message_of<std::invalid_argument>([&] { (void)message.encode(with, 1); }),
                HasSubstr("no export"));
}

TEST_F(CheckLanguage, ZeroBytesAreThoseOfTheRequest) {
    const nbd::Buffer data = nbd::encode(nbd::BlockStatus{
        1, {{4096, nbd::allocation_flag::zero}, {4096, 0}, {8192, nbd::allocation_flag::zero}}});
    RequestOutcome outcome;
    outcome.request = {0, nbd::Command::block_status, 1, 0, 3 * 4096};
    outcome.take(ChunkAnswer{
        {nbd::reply_flag::done, nbd::ChunkType::block_status, 1, 0, static_cast<std::uint32_t>(data.size())},
        data});
    EXPECT_EQ(outcome.fields().at("zero-bytes"), 8192U) << "the last extent goes on beyond the request";
}

TEST_F(CheckLanguage, WhatIsToldIsLookedForInTheList) {
    const auto told = [](nbd::InfoType type, const std::string& text) {
        const nbd::Buffer data = nbd::encode(nbd::InfoText{type, text});
        OptionOutcome outcome;
        outcome.option = nbd::Option::info;
        outcome.take({nbd::OptionReply{nbd::Option::info, nbd::OptionReplyType::info,
                                       static_cast<std::uint32_t>(data.size())},
                      data});
        return outcome.fields("disk", {{"a", "the first"}, {"b", ""}});
    };
    EXPECT_EQ(told(nbd::InfoType::name, "b").at("unlisted-names"), 0U);
    EXPECT_EQ(told(nbd::InfoType::name, "").at("unlisted-names"), 1U);
    EXPECT_EQ(told(nbd::InfoType::description, "the first").at("unlisted-descriptions"), 0U);
    EXPECT_EQ(told(nbd::InfoType::description, "another").at("unlisted-descriptions"), 1U);
    // What has no name or description of its own need not be in the list.
    EXPECT_EQ(told(nbd::InfoType::description, "the first").at("unlisted-names"), 0U);
}

TEST_F(CheckLanguage, NothingComesInClearOnceThereIsTls) {
    Reading reading;
    reading.phase = Reading::Phase::encrypted;
    nbd::Buffer alert = {0x15, 3, 3, 0, 2, 2, 10, 0, 0, 0, 0, 0};
    EXPECT_EQ(take_message(alert, reading), std::nullopt);
    nbd::Buffer reply = {0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9, 0, 0, 0, 3};
    const auto taken = take_message(reply, reading);
    ASSERT_TRUE(taken && std::holds_alternative<Garbage>(*taken));
    EXPECT_THAT(std::get<Garbage>(*taken).why, HasSubstr("in clear"));
}

} // namespace
} // namespace harness::check
