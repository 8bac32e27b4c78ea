// What a client sends that is told to grow, to shrink or to learn, by what the server offers.

#include "reference-client/resizer.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <unistd.h>

namespace refclient {
namespace {

using testing::hex;
using testing::ScriptedServer;
using testing::to_hex;
using Peer = ScriptedServer::Peer;
using Offer = ScriptedServer::Peer::Offer;
namespace flag = nbd::transmission_flag;

constexpr std::uint64_t mebibyte = 1048576;
const std::string c1 = "0000000000000001";
const std::string c2 = "0000000000000002";
const std::string simple_ok = "67446698 00000000" + c1;
const std::string structured_ok = "668e33ef 0001 0000" + c1 + "00000000";

std::string told(const std::string& size, const std::string& flags = "00000000") {
    return "668e33ef 0001 0007" + c1 + "0000000c" + size + flags;
}

std::string refusal(const std::string& error) {
    return "67446698" + error + c1;
}

std::string resize_to(const std::string& size) {
    return "25609513 0000 0008" + c1 + size + "00000000";
}

std::string write_at(const std::string& flags, const std::string& offset, std::size_t length) {
    char length_digits[9];
    std::snprintf(length_digits, sizeof(length_digits), "%08zx", length);
    return "25609513" + flags + "0001" + c1 + offset + length_digits + std::string(2 * length, '0');
}

std::string capable(const std::string& capabilities, const std::string& granularity = "00000001") {
    return capabilities + granularity + "0000000000000000 0000000040000000";
}

constexpr std::uint16_t with_resize = flag::has_flags | flag::send_resize;

struct Change {
    std::string name;
    Offer offer;
    Grow grow; ///< none: shrink
    std::uint64_t size;
    std::string request{}; ///< hexadecimal; empty: none
    std::string reply{};
    Grow way = Grow::none; ///< expected
    std::uint64_t after = mebibyte;
    bool zero = false;
    std::string error{};
};

std::ostream& operator<<(std::ostream& out, const Change& change) {
    return out << change.name;
}

class Changes : public ::testing::TestWithParam<Change> {};

TEST_P(Changes, GoByWhatIsOffered) {
    const Change& change = GetParam();
    const nbd::Buffer expected = hex(change.request);
    std::string received;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(change.offer);
        received = to_hex(peer.receive(expected.size()));
        peer.send(hex(change.reply));
        received += to_hex(peer.receive_all());
    });
    Options options;
    options.replies = change.offer.structured ? Replies::structured : Replies::simple;
    options.contexts.clear();
    options.ask_resize = true;
    const auto connection = Connection::open(server.uri(), options);
    Resizer resizer(*connection, server.uri(), {change.grow, Learn::none});
    const ResizeOutcome outcome =
        change.grow == Grow::none ? resizer.shrink_to(change.size) : resizer.grow_to(change.size);
    EXPECT_EQ(outcome.way, change.way);
    EXPECT_EQ(outcome.size, change.after);
    EXPECT_EQ(connection->size(), change.after);
    EXPECT_EQ(outcome.promised_zero, change.zero);
    EXPECT_EQ(outcome.error ? outcome.error->symbol() : "", change.error);
    connection->drop();
    server.join();
    EXPECT_EQ(received, to_hex(expected));
}

const Change changes[] = {
    {.name = "explicit RZ-PLAIN-6",
     .offer = {.flags = with_resize, .resize = capable("0081", "00010000")},
     .grow = Grow::explicit_,
     .size = 0x100001,
     .request = resize_to("0000000000100001"),
     .reply = told("0000000000110000", "00000001"),
     .way = Grow::explicit_,
     .after = 0x110000,
     .zero = true},
    {.name = "explicit RZ-PLAIN-6 less than was asked for",
     .offer = {.flags = with_resize, .resize = capable("0091")},
     .grow = Grow::explicit_,
     .size = 0x900000,
     .request = resize_to("0000000000900000"),
     .reply = told("0000000000400000"),
     .way = Grow::explicit_,
     .after = 0x400000,
     .zero = true},
    {.name = "explicit RZ-PLAIN-5 the client rounds with simple replies",
     .offer = {.flags = with_resize, .structured = false, .resize = capable("0081", "00010000")},
     .grow = Grow::explicit_,
     .size = 0x100001,
     .request = resize_to("0000000000110000"),
     .reply = simple_ok,
     .way = Grow::explicit_,
     .after = 0x110000},
    {.name = "explicit RZ-FLAG-3 the flag alone",
     .offer = {.flags = with_resize},
     .grow = Grow::explicit_,
     .size = 0x100001,
     .request = resize_to("0000000000100001"),
     .reply = structured_ok,
     .way = Grow::explicit_,
     .after = 0x100001},
    {.name = "explicit RZ-FLAG-3 the flag alone, not permitted",
     .offer = {.flags = with_resize},
     .grow = Grow::explicit_,
     .size = 0x200000,
     .request = resize_to("0000000000200000"),
     .reply = refusal("00000001"),
     .way = Grow::explicit_,
     .error = "EPERM"},
    {.name = "explicit RZ-FLAG-2",
     .offer = {.resize = capable("008c")},
     .grow = Grow::explicit_,
     .size = 0x200000,
     .error = "ENOTSUP"},
    {.name = "explicit without EXPLICIT",
     .offer = {.flags = with_resize, .resize = capable("00ac")},
     .grow = Grow::explicit_,
     .size = 0x200000,
     .error = "ENOTSUP"},
    {.name = "explicit on a read-only export",
     .offer = {.flags = with_resize | flag::read_only, .resize = capable("00a0")},
     .grow = Grow::explicit_,
     .size = 0x200000,
     .error = "EPERM"},
    {.name = "nothing to grow", .offer = {.flags = with_resize}, .grow = Grow::explicit_, .size = mebibyte},
    {.name = "beyond all sizes",
     .offer = {.flags = with_resize},
     .grow = Grow::explicit_,
     .size = UINT64_MAX,
     .error = "EINVAL"},
    {.name = "plain RZ-AUTO-12",
     .offer = {.resize = capable("009c")},
     .grow = Grow::plain,
     .size = 0x200001,
     .request = write_at("0000", "00000000001ffe01", 512),
     .reply = structured_ok,
     .way = Grow::plain,
     .after = 0x200001,
     .zero = true},
    {.name = "plain, less than a block",
     .offer = {},
     .grow = Grow::plain,
     .size = 0x100003,
     .request = write_at("0000", "0000000000100000", 3),
     .reply = structured_ok,
     .way = Grow::plain,
     .after = 0x100003},
    {.name = "plain, in whole blocks",
     .offer = {.block = "00001000 00001000 02000000"},
     .grow = Grow::plain,
     .size = 0x200001,
     .request = write_at("0000", "0000000000200000", 0x1000),
     .reply = structured_ok,
     .way = Grow::plain,
     .after = 0x201000},
    {.name = "plain, without writing over data in the last block",
     .offer = {.size = 0x100001, .block = "00001000 00001000 02000000"},
     .grow = Grow::plain,
     .size = 0x100003,
     .request = write_at("0000", "0000000000101000", 0x1000),
     .reply = structured_ok,
     .way = Grow::plain,
     .after = 0x102000},
    {.name = "plain, to a server that knows nothing of it",
     .offer = {.structured = false},
     .grow = Grow::plain,
     .size = 0x200000,
     .request = write_at("0000", "00000000001ffe00", 512),
     .reply = refusal("0000001c"),
     .way = Grow::plain,
     .error = "ENOSPC"},
    {.name = "plain without AUTO_IMPLICIT",
     .offer = {.resize = capable("0084")},
     .grow = Grow::plain,
     .size = 0x200000,
     .error = "ENOTSUP"},
    {.name = "plain on a read-only export",
     .offer = {.flags = flag::has_flags | flag::read_only},
     .grow = Grow::plain,
     .size = 0x200000,
     .error = "EPERM"},
    {.name = "flagged RZ-AUTO-6",
     .offer = {.resize = capable("0084", "00010000")},
     .grow = Grow::flagged,
     .size = 0x200001,
     .request = write_at("0040", "00000000001ffe01", 512),
     .reply = told("0000000000210000"),
     .way = Grow::flagged,
     .after = 0x210000},
    {.name = "flagged with simple replies",
     .offer = {.structured = false, .resize = capable("0084", "00010000")},
     .grow = Grow::flagged,
     .size = 0x200001,
     .request = write_at("0040", "00000000001ffe01", 512),
     .reply = simple_ok,
     .way = Grow::flagged,
     .after = 0x200001},
    {.name = "flagged without AUTO",
     .offer = {.flags = with_resize, .resize = capable("0081")},
     .grow = Grow::flagged,
     .size = 0x200000,
     .error = "ENOTSUP"},
    {.name = "flagged without the information",
     .offer = {.flags = with_resize},
     .grow = Grow::flagged,
     .size = 0x200000,
     .error = "ENOTSUP"},
    {.name = "shrink",
     .offer = {.flags = with_resize, .resize = capable("0093")},
     .grow = Grow::none,
     .size = 0x80000,
     .request = resize_to("0000000000080000"),
     .reply = told("0000000000080000"),
     .way = Grow::explicit_,
     .after = 0x80000},
    {.name = "shrink without SHRINK",
     .offer = {.flags = with_resize, .resize = capable("0091")},
     .grow = Grow::none,
     .size = 0x80000,
     .error = "ENOTSUP"},
    {.name = "shrink RZ-FLAG-3",
     .offer = {.flags = with_resize, .structured = false},
     .grow = Grow::none,
     .size = 0x80000,
     .request = resize_to("0000000000080000"),
     .reply = simple_ok,
     .way = Grow::explicit_,
     .after = 0x80000},
    {.name = "shrink RZ-PLAIN-6 to nothing less by rounding",
     .offer = {.flags = with_resize, .structured = false, .resize = capable("0083", "00100000")},
     .grow = Grow::none,
     .size = 0xfffff},
    {.name = "shrink to more",
     .offer = {.flags = with_resize},
     .grow = Grow::none,
     .size = 0x100001,
     .error = "EINVAL"},
};

INSTANTIATE_TEST_SUITE_P(All, Changes, ::testing::ValuesIn(changes));

struct Fallback {
    std::string name;
    Offer offer;
    Learn prefers;
    Learn takes;
};

std::ostream& operator<<(std::ostream& out, const Fallback& fallback) {
    return out << fallback.name;
}

class Fallbacks : public ::testing::TestWithParam<Fallback> {};

TEST_P(Fallbacks, GoByWhatIsOffered) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(GetParam().offer);
        static_cast<void>(peer.receive_all());
    });
    Options options;
    options.replies = Replies::structured;
    options.contexts.clear();
    options.ask_resize = true;
    const auto connection = Connection::open(server.uri(), options);
    EXPECT_EQ(Resizer(*connection, server.uri(), {Grow::none, GetParam().prefers}).learning(),
              GetParam().takes);
    connection->drop();
}

const Offer all_ways{.flags = with_resize, .resize = capable("00e1")};
const Offer no_notify{.flags = with_resize, .resize = capable("00a1")};
const Offer no_query{.flags = with_resize, .resize = capable("00c1")};
const Offer only_flag{.flags = with_resize};
const Offer without_flag{.resize = capable("00e0")};

const Fallback fallbacks[] = {
    {"notify", all_ways, Learn::notify, Learn::notify},
    {"credits", all_ways, Learn::credits, Learn::credits},
    {"poll", all_ways, Learn::poll, Learn::poll},
    {"reconnect", all_ways, Learn::reconnect, Learn::reconnect},
    {"none", all_ways, Learn::none, Learn::none},
    {"notify to poll", no_notify, Learn::notify, Learn::poll},
    {"credits to poll", no_notify, Learn::credits, Learn::poll},
    {"poll to reconnect", no_query, Learn::poll, Learn::reconnect},
    {"notify to reconnect RZ-FLAG-3", only_flag, Learn::notify, Learn::reconnect},
    {"RZ-FLAG-2", without_flag, Learn::notify, Learn::reconnect},
    {"none stays none", only_flag, Learn::none, Learn::none},
};

INSTANTIATE_TEST_SUITE_P(All, Fallbacks, ::testing::ValuesIn(fallbacks));

std::string chunk_of(const std::string& cookie, const std::string& header, const std::string& size,
                     const std::string& flags) {
    return "668e33ef" + header + "0007" + cookie + "0000000c" + size + flags;
}

Options structured() {
    Options options;
    options.replies = Replies::structured;
    options.contexts.clear();
    options.ask_resize = true;
    return options;
}

TEST(LearnByNotify, WaitsForWhatSomebodyElseDid) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(all_ways);
        static_cast<void>(peer.receive(28));
        peer.send(hex(chunk_of(c1, "0000", "0000000000100000", "00000000")));
        static_cast<void>(peer.receive(28));
        // The client's own change, then another one, each with its notification.
        peer.send(hex(chunk_of(c2, "0001", "0000000000200000", "00000000") +
                      chunk_of(c1, "0000", "0000000000200000", "00000000")));
        peer.send(hex(chunk_of(c1, "0000", "0000000000300000", "00000002")));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    Resizer resizer(*connection, server.uri(), {Grow::explicit_, Learn::notify});
    resizer.begin();
    EXPECT_EQ(resizer.grow_to(2 * mebibyte).way, Grow::explicit_);
    const LearnOutcome learnt = resizer.learn(std::chrono::seconds(30));
    EXPECT_EQ(learnt.way, Learn::notify);
    EXPECT_TRUE(learnt.news);
    EXPECT_FALSE(learnt.error);
    EXPECT_EQ(learnt.size, 3 * mebibyte);
    const LearnOutcome nothing = resizer.learn();
    EXPECT_FALSE(nothing.news);
    EXPECT_EQ(nothing.size, 3 * mebibyte);
    connection->drop();
}

TEST(LearnByCredits, RenewsASubscriptionThatIsUsedUp) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(all_ways);
        EXPECT_EQ(to_hex(peer.receive(28)),
                  to_hex(hex("25609513 0100 0008" + c1 + "0000000000000000 00000001")));
        peer.send(hex(chunk_of(c1, "0000", "0000000000100000", "00000000") +
                      chunk_of(c1, "0001", "0000000000200000", "00000002")));
        EXPECT_EQ(to_hex(peer.receive(28)),
                  to_hex(hex("25609513 0100 0008" + c2 + "0000000000000000 00000001")));
        peer.send(hex(chunk_of(c2, "0000", "0000000000300000", "00000000")));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    Resizer resizer(*connection, server.uri(), {Grow::none, Learn::credits, 1});
    resizer.begin();
    // The last notification may come before anybody waits for it.
    LearnOutcome learnt = resizer.learn(std::chrono::seconds(30));
    if (learnt.size == 2 * mebibyte) {
        learnt = resizer.learn();
    }
    EXPECT_EQ(learnt.way, Learn::credits);
    EXPECT_EQ(learnt.size, 3 * mebibyte);
    EXPECT_TRUE(connection->subscribed());
    connection->drop();
}

TEST(LearnByPoll, AsksForTheSize) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(all_ways);
        EXPECT_EQ(to_hex(peer.receive(28)),
                  to_hex(hex("25609513 0080 0008" + c1 + "0000000000000000 00000000")));
        peer.send(hex(told("0000000000080000")));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    const LearnOutcome learnt = Resizer(*connection, server.uri(), {Grow::none, Learn::poll}).learn();
    EXPECT_EQ(learnt.way, Learn::poll);
    EXPECT_EQ(learnt.size, mebibyte / 2);
    connection->drop();
}

TEST(LearnByReconnect, TakesTheSizeOfAnotherHandshakeAndLeavesByTheRules) {
    std::string last;
    ScriptedServer first([&](const Peer& peer) {
        peer.shake_hands(only_flag);
        static_cast<void>(peer.receive_all());
    });
    ScriptedServer second([&](const Peer& peer) {
        peer.shake_hands({.size = 3 * mebibyte});
        last = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(first.uri(), structured());
    const LearnOutcome learnt = Resizer(*connection, second.uri(), {Grow::none, Learn::notify}).learn();
    EXPECT_EQ(learnt.way, Learn::reconnect);
    EXPECT_EQ(learnt.size, 3 * mebibyte);
    second.join();
    EXPECT_EQ(last, to_hex(hex("25609513 0000 0002" + c1 + "0000000000000000 00000000")));
    connection->drop();
}

TEST(Watch, TellsEachSizeAndCancelsAtTheEnd) {
    std::array<int, 2> stop{};
    ASSERT_EQ(::pipe(stop.data()), 0);
    std::string cancel;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(all_ways);
        static_cast<void>(peer.receive(28));
        peer.send(hex(chunk_of(c1, "0000", "0000000000100000", "00000000") +
                      chunk_of(c1, "0000", "0000000000200000", "00000002") +
                      chunk_of(c1, "0000", "0000000000200000", "00000006") +
                      chunk_of(c1, "0000", "0000000000300000", "00000002")));
        cancel = to_hex(peer.receive(28));
        peer.send(hex("668e33ef 0001 0000" + c1 + "00000000 668e33ef 0001 0000" + c2 + "00000000"));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    std::vector<std::uint64_t> sizes;
    Resizer(*connection, server.uri(), {Grow::none, Learn::notify})
        .watch(
            [&](std::uint64_t size) {
                sizes.push_back(size);
                if (size == 3 * mebibyte) {
                    EXPECT_EQ(::write(stop[1], "", 1), 1);
                }
            },
            stop[0], std::chrono::milliseconds(1));
    EXPECT_EQ(cancel, to_hex(hex("25609513 0200 0008" + c2 + c1 + "00000000")));
    EXPECT_FALSE(connection->subscribed());
    EXPECT_THAT(sizes.front(), mebibyte);
    EXPECT_THAT(sizes.back(), 3 * mebibyte);
    EXPECT_LE(sizes.size(), 3U);
    connection->drop();
    ::close(stop[0]);
    ::close(stop[1]);
}

} // namespace
} // namespace refclient
