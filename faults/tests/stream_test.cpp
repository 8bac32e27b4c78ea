// What both sides send is cut into messages, whatever the pieces in which it comes; and a twist that does
// nothing changes nothing.

#include "faults/make.hpp"
#include "faults/tests/play.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace faults {
namespace {

using testing::Play;

struct Spoken {
    std::string what;
    Side from;
    nbd::Buffer bytes;
};

nbd::Buffer bytes_of(std::size_t count) {
    nbd::Buffer bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
    }
    return bytes;
}

template <class M>
Spoken says(Side from, const M& message, const nbd::Buffer& payload = {}) {
    nbd::Buffer bytes = nbd::encode(message);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return {std::string(M::title), from, bytes};
}

constexpr Side client = Side::client;
constexpr Side server = Side::server;

std::vector<Spoken> fixed_newstyle() {
    const nbd::Buffer info = nbd::encode(nbd::InfoExport{nbd::InfoType::export_, 4096, 1});
    const nbd::Buffer go{0, 0, 0, 1, 'x', 0, 0};
    return {
        says(server, nbd::NewstyleGreeting{3}),
        says(client, nbd::ClientFlags{3}),
        says(client, nbd::OptionRequest{nbd::Option::go, 7}, go),
        says(server, nbd::OptionReply{nbd::Option::go, nbd::OptionReplyType::info, 12}, info),
        says(server, nbd::OptionReply{nbd::Option::go, nbd::OptionReplyType::ack, 0}),
    };
}

struct Case {
    std::string name;
    std::vector<Spoken> spoken;
    std::size_t messages; ///< that are recognised
};

std::vector<Case> cases() {
    std::vector<Case> all;
    auto simple = fixed_newstyle();
    simple.push_back(says(client, nbd::CompactRequest{0, nbd::Command::write, 1, 0, 10}, bytes_of(10)));
    simple.push_back(says(client, nbd::CompactRequest{0, nbd::Command::read, 2, 0, 100}));
    simple.push_back(says(server, nbd::SimpleReply{nbd::Error::none, 2}, bytes_of(100)));
    simple.push_back(says(server, nbd::SimpleReply{nbd::Error::io, 1}));
    simple.push_back(says(client, nbd::CompactRequest{0, nbd::Command::disc, 3, 0, 0}));
    all.push_back({"simple", simple, 10});

    auto chunks = fixed_newstyle();
    chunks.push_back(says(client, nbd::CompactRequest{0, nbd::Command::read, 2, 0, 100}));
    chunks.push_back(says(server, nbd::StructuredChunk{0, nbd::ChunkType::offset_data, 2, 28}, bytes_of(28)));
    chunks.push_back(says(server, nbd::StructuredChunk{1, nbd::ChunkType::none, 2, 0}));
    all.push_back({"chunks", chunks, 8});

    auto extended = fixed_newstyle();
    extended.push_back(
        says(client, nbd::ExtendedRequest{nbd::command_flag::payload_len, nbd::Command::write, 2, 0, 9},
             bytes_of(9)));
    extended.push_back(
        says(client, nbd::ExtendedRequest{0, nbd::Command::trim, 3, 0, std::uint64_t{1} << 40}));
    extended.push_back(says(server, nbd::ExtendedChunk{1, nbd::ChunkType::none, 2, 0, 0}));
    all.push_back({"extended", extended, 8});

    const nbd::Buffer padding(nbd::handshake_padding);
    const nbd::Buffer told{0, 0, 0, 0, 0, 0, 16, 0, 0, 1};
    std::vector<Spoken> by_name{says(server, nbd::NewstyleGreeting{1}), says(client, nbd::ClientFlags{1}),
                                says(client, nbd::OptionRequest{nbd::Option::export_name, 0})};
    by_name.push_back({"answer", server, told});
    by_name.back().bytes.insert(by_name.back().bytes.end(), padding.begin(), padding.end());
    by_name.push_back(says(client, nbd::CompactRequest{0, nbd::Command::read, 2, 0, 3}));
    by_name.push_back(says(server, nbd::SimpleReply{nbd::Error::none, 2}, bytes_of(3)));
    all.push_back({"by name", by_name, 6});

    std::vector<Spoken> no_zeroes{says(server, nbd::NewstyleGreeting{3}),
                                  says(client, nbd::ClientFlags{3}),
                                  says(client, nbd::OptionRequest{nbd::Option::export_name, 0}),
                                  {"answer", server, told},
                                  says(client, nbd::CompactRequest{0, nbd::Command::flush, 2, 0, 0}),
                                  says(server, nbd::SimpleReply{nbd::Error::none, 2})};
    all.push_back({"by name without zeroes", no_zeroes, 6});

    std::vector<Spoken> oldstyle{says(server, nbd::OldstyleGreeting{4096, 0, 1}, padding),
                                 says(client, nbd::CompactRequest{0, nbd::Command::read, 2, 0, 3}),
                                 says(server, nbd::SimpleReply{nbd::Error::none, 2}, bytes_of(3))};
    all.push_back({"oldstyle", oldstyle, 3});
    return all;
}

/// Counts what it sees.
struct Count {
    std::size_t* known;
    std::size_t* raw;
};

Recipe counting(Count count) {
    const auto known = [](Count& into, const auto& /*message*/) { ++*into.known; };
    return twist_with(
        count, [known](Count& c, Greeting& m) { known(c, m); },
        [known](Count& c, ClientFlags& m) { known(c, m); },
        [known](Count& c, OptionRequest& m) { known(c, m); },
        [known](Count& c, OptionReply& m) { known(c, m); },
        [known](Count& c, ExportReply& m) { known(c, m); }, [known](Count& c, Request& m) { known(c, m); },
        [known](Count& c, Reply& m) { known(c, m); }, [known](Count& c, Chunk& m) { known(c, m); },
        [](Count& c, Raw& /*raw*/) { ++*c.raw; });
}

TEST(Stream, cuts_and_puts_together_again) {
    for (const Case& c : cases()) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
            std::size_t known = 0;
            std::size_t raw = 0;
            Play play(counting({&known, &raw}));
            for (const Spoken& spoken : c.spoken) {
                for (std::size_t at = 0; at < spoken.bytes.size(); at += piece) {
                    const auto begin = spoken.bytes.begin() + static_cast<std::ptrdiff_t>(at);
                    const auto size = std::min(piece, spoken.bytes.size() - at);
                    play.send(spoken.from, nbd::Buffer(begin, begin + static_cast<std::ptrdiff_t>(size)));
                }
                EXPECT_EQ(play.take(other(spoken.from)), spoken.bytes) << c.name << ", " << spoken.what;
            }
            EXPECT_EQ(known, c.messages) << c.name;
            EXPECT_EQ(raw, 0U) << c.name;
        }
    }
}

TEST(Stream, lets_what_it_does_not_understand_pass) {
    std::size_t known = 0;
    std::size_t raw = 0;
    Play play(counting({&known, &raw}));
    play.send(server, nbd::encode(nbd::NewstyleGreeting{3})).send(client, nbd::encode(nbd::ClientFlags{3}));
    (void)play.take(server);
    const nbd::Buffer nonsense = bytes_of(50);
    EXPECT_EQ(play.send(client, nonsense).take(server), nonsense);
    const nbd::Buffer request = nbd::encode(nbd::CompactRequest{});
    EXPECT_EQ(play.send(client, request).take(server), request);
    EXPECT_EQ(known, 2U);
    EXPECT_EQ(raw, 2U);
}

TEST(Stream, does_not_wait_for_payloads_that_are_too_large) {
    Play play(twist([](Raw& /*raw*/) {}));
    for (const Spoken& spoken : fixed_newstyle()) {
        play.send(spoken.from, spoken.bytes);
    }
    (void)play.take(server);
    const nbd::Buffer write = nbd::encode(nbd::CompactRequest{0, nbd::Command::write, 1, 0, 0xffffffff});
    EXPECT_EQ(play.send(client, write).take(server), write);
    EXPECT_EQ(play.send(client, write).take(server), write) << "that is data";
    EXPECT_TRUE(play.exchange().told().delivered.size() == 1);
}

TEST(Stream, gives_the_beginning_of_a_message_at_the_end) {
    Play play(twist([](Raw& /*raw*/) {}));
    const nbd::Buffer half{0, 0};
    play.send(server, nbd::encode(nbd::NewstyleGreeting{3})).send(client, half);
    EXPECT_EQ(play.take(server), nbd::Buffer{});
    play.end(client);
    auto& steps = play.exchange().steps(server);
    ASSERT_EQ(steps.size(), 2U);
    EXPECT_EQ(std::get<Send>(steps[0]).bytes, half);
    EXPECT_TRUE(std::holds_alternative<FinishSending>(steps[1]));
}

TEST(Twist, may_send_before_and_behind_and_drop) {
    Play play(twist(
        [](Greeting& greeting, Flow& flow) {
            flow.to_client(Raw{Side::server, {1}});
            greeting.flags = 1;
            flow.forward();
            flow.to_client(Raw{Side::server, {2}});
        },
        [](ClientFlags& /*flags*/, Flow& flow) { flow.drop(); }));
    nbd::Buffer expected = nbd::encode(nbd::NewstyleGreeting{1});
    expected.insert(expected.begin(), 1);
    expected.push_back(2);
    EXPECT_EQ(play.send(server, nbd::encode(nbd::NewstyleGreeting{3})).take(client), expected);
    EXPECT_EQ(play.send(client, nbd::encode(nbd::ClientFlags{3})).take(server), nbd::Buffer{});
}

TEST(Twist, handles_nothing_after_it_has_hung_up) {
    Play play(twist([](ClientFlags& /*flags*/, Flow& flow) { flow.hang_up(); }));
    play.send(server, nbd::encode(nbd::NewstyleGreeting{3})).send(client, nbd::encode(nbd::ClientFlags{3}));
    play.send(client, nbd::encode(nbd::OptionRequest{nbd::Option::list, 0})).end(client);
    auto& steps = play.exchange().steps(server);
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<Close>(steps[0]));
    EXPECT_TRUE(std::holds_alternative<Close>(play.exchange().steps(client).back()));
}

TEST(Twist, has_a_state_for_each_connection) {
    const Recipe recipe =
        twist([n = 0](ClientFlags& flags) mutable { flags.flags = static_cast<std::uint32_t>(++n); });
    for (int i = 0; i < 2; ++i) {
        Play play(recipe);
        play.send(server, nbd::encode(nbd::NewstyleGreeting{3}))
            .send(client, nbd::encode(nbd::ClientFlags{3}));
        EXPECT_EQ(play.take(server), nbd::encode(nbd::ClientFlags{1}));
    }
}

} // namespace
} // namespace faults
