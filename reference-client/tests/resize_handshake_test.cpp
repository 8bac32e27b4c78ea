// The handshake of the RESIZE extension. All bytes are written by hand from docs/resize-extension.md.

#include "reference-client/negotiation.hpp"
#include "reference-client/tests/support/bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient {
namespace {

using ::testing::HasSubstr;
using testing::hex;
using testing::to_hex;

const std::string greeting = "4e42444d41474943 49484156454f5054 0003";
const std::string reply = "0003e889045565a9";
const std::string structured_ack = reply + "00000008 00000001 00000000";
const std::string go = reply + "00000007";
const std::string info = go + "00000003";
const std::string export_1m = info + "0000000c 0000 0000000000100000 0201";
const std::string go_ack = go + "00000001 00000000";
const std::string unsup = "80000001 00000000";

const std::string client_start = "00000003 49484156454f5054 00000008 00000000";
const std::string client_go = "49484156454f5054 00000007";

Options asking(Replies replies = Replies::structured) {
    Options options;
    options.replies = replies;
    options.contexts.clear();
    options.ask_resize = true;
    return options;
}

/// What a negotiation came to, however the bytes were cut.
struct Result {
    std::optional<nbd::InfoResize> resize;
    std::string failure;
    std::string sent;
};

std::vector<Result> negotiate(const Options& options, const std::string& server,
                              Goal goal = Goal::transmission) {
    std::vector<Result> results;
    const nbd::Buffer stream = hex(server);
    for (const testing::Fragmentation& fragmentation : testing::fragmentations()) {
        Negotiation negotiation(options, goal, "x");
        nbd::Buffer sent;
        for (const nbd::Bytes part : fragmentation.cut(stream)) {
            negotiation.feed(part);
            const nbd::Buffer output = negotiation.take_output();
            sent.insert(sent.end(), output.begin(), output.end());
        }
        EXPECT_TRUE(negotiation.finished() || negotiation.leaving()) << negotiation.awaited();
        results.push_back({negotiation.info().resize,
                           negotiation.failure() ? negotiation.failure()->what() : "", to_hex(sent)});
        if (negotiation.failure()) {
            EXPECT_EQ(negotiation.failure()->kind(), FailureKind::protocol);
        }
    }
    return results;
}

struct Told {
    std::string name;
    std::string payload; ///< behind the type
    nbd::InfoResize info;
    Replies replies = Replies::structured;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
    return out << told.name;
}

class Accepted : public ::testing::TestWithParam<Told> {};

TEST_P(Accepted, IsKnownAfterwards) {
    const Told& told = GetParam();
    const bool structured = told.replies == Replies::structured;
    for (const Result& result :
         negotiate(asking(told.replies), greeting + (structured ? structured_ack : "") + export_1m + info +
                                             "00000018 0004" + told.payload + go_ack)) {
        EXPECT_EQ(result.failure, "");
        EXPECT_EQ(result.resize, told.info);
    }
}

using nbd::InfoType;

const Told accepted[] = {
    {"all that there is",
     "00ff 00010000 0000000000001000 0000000040000000",
     {InfoType::resize, 0xff, 0x10000, 0x1000, 0x40000000}},
    {"RZ-INFO-4 nothing but EXTERNAL",
     "0080 00000001 0000000000000000 0000000000100000",
     {InfoType::resize, 0x80, 1, 0, 0x100000}},
    {"RZ-INFO-6 an unknown largest size",
     "0081 00000001 0000000000000000 ffffffffffffffff",
     {InfoType::resize, 0x81, 1, 0, UINT64_MAX}},
    {"RZ-INFO-5 unknown bits are ignored",
     "ff81 00000001 0000000000000000 0000000000100000",
     {InfoType::resize, 0xff81, 1, 0, 0x100000}},
    {"RZ-INFO-5 AUTO without AUTO_IMPLICIT",
     "0084 00000001 0000000000000000 0000000000100000",
     {InfoType::resize, 0x84, 1, 0, 0x100000}},
    {"RZ-INFO-6 no meaning of the smallest size without SHRINK",
     "0081 00000001 ffffffffffffffff 0000000000100000",
     {InfoType::resize, 0x81, 1, UINT64_MAX, 0x100000}},
    {"simple replies",
     "009f 00000001 0000000000000000 0000000000100000",
     {InfoType::resize, 0x9f, 1, 0, 0x100000},
     Replies::simple},
};

INSTANTIATE_TEST_SUITE_P(All, Accepted, ::testing::ValuesIn(accepted));

struct Broken {
    std::string name;
    std::string replies; ///< behind the greeting and what was agreed on
    std::string says;
    Replies kind = Replies::structured;
    bool asks = true;
};

std::ostream& operator<<(std::ostream& out, const Broken& broken) {
    return out << broken.name;
}

class Violations : public ::testing::TestWithParam<Broken> {};

TEST_P(Violations, EndTheHandshake) {
    const Broken& broken = GetParam();
    Options options = asking(broken.kind);
    options.ask_resize = broken.asks;
    const bool structured = broken.kind == Replies::structured;
    for (const Result& result : negotiate(options, greeting + (structured ? structured_ack : "") +
                                                       broken.replies + export_1m + go_ack)) {
        EXPECT_THAT(result.failure, HasSubstr("protocol error"));
        EXPECT_THAT(result.failure, HasSubstr("NBD_INFO_RESIZE"));
        EXPECT_THAT(result.failure, HasSubstr(broken.says));
    }
}

std::string with(const std::string& capabilities, const std::string& granularity = "00000001") {
    return info + "00000018 0004" + capabilities + granularity + "0000000000000000 0000000000100000";
}

std::string zeroes(std::size_t bytes) {
    return std::string(2 * bytes, '0');
}

const Broken violations[] = {
    {.name = "RZ-INFO-1 not asked for", .replies = with("0081"), .says = "not asked for", .asks = false},
    {.name = "RZ-INFO-3 one byte less",
     .replies = info + "00000017 0004 0081 00000001 0000000000000000 00000000001000",
     .says = "of 23 bytes"},
    {.name = "RZ-INFO-3 one byte more",
     .replies = info + "00000019 0004 0081 00000001 0000000000000000 0000000000100000 00",
     .says = "of 25 bytes"},
    {.name = "RZ-INFO-3 nothing but the type", .replies = info + "00000002 0004", .says = "of 2 bytes"},
    {.name = "RZ-INFO-3 far too long",
     .replies = info + "00004e20 0004" + zeroes(0x4e20 - 2),
     .says = "of 20000 bytes"},
    {.name = "RZ-INFO-5 SHRINK without EXPLICIT",
     .replies = with("0082"),
     .says = "EXPLICIT, which is clear"},
    {.name = "RZ-INFO-5 AUTO_IMPLICIT without AUTO", .replies = with("0088"), .says = "AUTO, which is clear"},
    {.name = "RZ-INFO-5 QUERY with simple replies",
     .replies = with("00a1"),
     .says = "need structured replies",
     .kind = Replies::simple},
    {.name = "RZ-INFO-5 NOTIFY with simple replies",
     .replies = with("00c1"),
     .says = "need structured replies",
     .kind = Replies::simple},
    {.name = "RZ-INFO-6 granularity 0", .replies = with("0081", "00000000"), .says = "at least 1"},
    {.name = "RZ-INFO-6 granularity that no block fits",
     .replies = info + "0000000e 0003 00001000 00001000 02000000" + with("0081", "00001800"),
     .says = "no multiple of the minimum block size 4096"},
    {.name = "twice", .replies = with("0081") + with("0081"), .says = "a second"},
};

INSTANTIATE_TEST_SUITE_P(All, Violations, ::testing::ValuesIn(violations));

TEST(AskResize, ListsTheTypeInGo) {
    for (const Result& result : negotiate(asking(), greeting + structured_ack + export_1m + go_ack)) {
        EXPECT_EQ(result.sent,
                  to_hex(hex(client_start + client_go + "0000000f 00000001 78 0004 0001 0002 0003 0004")));
        // RZ-INFO-2: the server completes the option as if the type had not been listed.
        EXPECT_EQ(result.resize, std::nullopt);
        EXPECT_EQ(result.failure, "");
    }
}

TEST(AskResize, ListsTheTypeInInfo) {
    const std::string replies = reply + "00000006 00000003 0000000c 0000 0000000000100000 0201" + reply +
                                "00000006 00000003 00000018 0004 0081 00000001 0000000000000000" +
                                "0000000000100000" + reply + "00000006 00000001 00000000";
    for (const Result& result : negotiate(asking(), greeting + structured_ack + replies, Goal::info)) {
        EXPECT_EQ(result.sent,
                  to_hex(hex(client_start + "49484156454f5054 00000006 0000000f 00000001 78 0004 "
                                            "0001 0002 0003 0004 49484156454f5054 00000002 "
                                            "00000000")));
        ASSERT_TRUE(result.resize);
        EXPECT_EQ(result.resize->capabilities, 0x81);
    }
}

TEST(AskResize, IsLeftOutUnlessWanted) {
    Options options = asking();
    options.ask_resize = false;
    for (const Result& result : negotiate(options, greeting + structured_ack + export_1m + go_ack)) {
        EXPECT_EQ(result.sent,
                  to_hex(hex(client_start + client_go + "0000000d 00000001 78 0003 0001 0002 0003")));
    }
}

TEST(AskResize, JudgesByWhatWasAgreedOn) {
    // The server has no structured replies, although the client asked for them.
    for (const Result& result :
         negotiate(asking(), greeting + reply + "00000008" + unsup + with("00a1") + export_1m + go_ack)) {
        EXPECT_THAT(result.failure, HasSubstr("need structured replies"));
    }
}

TEST(AskResize, SkipsLongInformationOfUnknownTypes) {
    for (const Result& result :
         negotiate(asking(), greeting + structured_ack + info + "00004e20 0063" + zeroes(0x4e20 - 2) +
                                 with("0081") + export_1m + go_ack)) {
        EXPECT_EQ(result.failure, "");
        EXPECT_TRUE(result.resize);
    }
}

} // namespace
} // namespace refclient
