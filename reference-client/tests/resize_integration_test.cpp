// RESIZE with the reference server in a process of its own: every way to grow and to learn.

#include "reference-client/resizer.hpp"
#include "reference-client/session.hpp"
#include "reference-client/tests/support/knob_server.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient {
namespace {

constexpr std::uint64_t mebibyte = 1048576;

Options asking(Replies replies) {
    Options options;
    options.replies = replies;
    options.ask_resize = true;
    return options;
}

/// One server for all tests; each has exports of its own.
const testing::KnobServer& server() {
    static const testing::KnobServer started;
    return started;
}

struct Growth {
    std::string knobs;
    Replies replies;
    Grow grow;
    std::uint64_t size;
    Grow way;               ///< expected
    std::uint64_t believed; ///< expected
    std::uint64_t truth;    ///< expected
};

std::ostream& operator<<(std::ostream& out, const Growth& growth) {
    return out << growth.knobs << " " << name(growth.grow);
}

class Growing : public ::testing::TestWithParam<Growth> {};

TEST_P(Growing, EndsWhereTheServerDoes) {
    const Growth& growth = GetParam();
    const std::string knobs =
        growth.knobs + fmt::format(",id={}{}", static_cast<int>(growth.replies), name(growth.grow));
    const nbd::Uri uri = server().uri(knobs);
    const auto connection = Connection::open(uri, asking(growth.replies));
    Resizer resizer(*connection, uri, {growth.grow, Learn::none});
    const ResizeOutcome outcome = resizer.grow_to(growth.size);
    EXPECT_EQ(outcome.way, growth.way);
    EXPECT_EQ(outcome.size, growth.believed);
    EXPECT_EQ(outcome.error.has_value(), growth.way == Grow::none) << outcome.error->what();
    EXPECT_EQ(server().size(knobs), growth.truth);
    if (outcome.size > mebibyte) {
        // In strict mode, up to the last byte.
        nbd::Buffer end(512, 0xee);
        connection->read(outcome.size - end.size(), end);
        EXPECT_EQ(end, nbd::Buffer(end.size(), 0));
        EXPECT_THROW(connection->read(outcome.size - 1, end), Failure);
    }
    connection->disconnect();
}

const std::string grows = "growth=both,advertise=info,consent=implicit,shrink=allow";
const Growth growths[] = {
    {grows, Replies::simple, Grow::explicit_, 2000001, Grow::explicit_, 2000001, 2000001},
    {grows, Replies::structured, Grow::explicit_, 2000001, Grow::explicit_, 2000001, 2000001},
    {grows, Replies::extended, Grow::plain, 2000001, Grow::plain, 2000001, 2000001},
    {grows, Replies::simple, Grow::flagged, 2000001, Grow::flagged, 2000001, 2000001},
    {grows + ",sizing=round", Replies::simple, Grow::explicit_, 2000001, Grow::explicit_, 2031616, 2031616},
    {grows + ",sizing=round", Replies::extended, Grow::explicit_, 2000001, Grow::explicit_, 2031616, 2031616},
    // Nothing tells how far the rounding went.
    {grows + ",sizing=round", Replies::simple, Grow::plain, 2000001, Grow::plain, 2000001, 2031616},
    {grows + ",sizing=round", Replies::structured, Grow::flagged, 2000001, Grow::flagged, 2031616, 2031616},
    {grows + ",sizing=clamp,limit=2MiB", Replies::structured, Grow::explicit_, 3000000, Grow::explicit_,
     2097152, 2097152},
    {"growth=explicit,advertise=flag", Replies::extended, Grow::explicit_, 2000001, Grow::explicit_, 2000001,
     2000001},
    {"growth=auto,advertise=info", Replies::extended, Grow::explicit_, 2000001, Grow::none, mebibyte,
     mebibyte},
    {"growth=auto,advertise=info,consent=opt-in", Replies::extended, Grow::plain, 2000001, Grow::none,
     mebibyte, mebibyte},
    {"growth=auto,advertise=silent", Replies::extended, Grow::plain, 2000001, Grow::plain, 2000001, 2000001},
    {"growth=explicit,advertise=info", Replies::extended, Grow::flagged, 2000001, Grow::none, mebibyte,
     mebibyte},
};

INSTANTIATE_TEST_SUITE_P(All, Growing, ::testing::ValuesIn(growths));

class Learning : public ::testing::TestWithParam<std::tuple<Learn, Replies>> {};

TEST_P(Learning, EndsAtTheTruth) {
    const auto [way, replies] = GetParam();
    const std::string knobs = fmt::format("{},id=learn-{}-{}", grows, name(way), static_cast<int>(replies));
    const nbd::Uri uri = server().uri(knobs);
    const auto connection = Connection::open(uri, asking(replies));
    Resizer resizer(*connection, uri, {Grow::explicit_, way, 2});
    resizer.begin();
    EXPECT_FALSE(resizer.grow_to(3 * mebibyte).error);
    for (const std::uint64_t size : {2000001U, 1048575U, 3000000U, 4000000U}) {
        ASSERT_TRUE(server().resize(knobs, size));
        const LearnOutcome outcome = resizer.learn(std::chrono::seconds(30));
        EXPECT_EQ(outcome.way, resizer.learning());
        EXPECT_FALSE(outcome.error) << outcome.error->what();
        EXPECT_EQ(outcome.size, size);
    }
    EXPECT_FALSE(resizer.shrink_to(mebibyte).error);
    EXPECT_EQ(server().size(knobs), mebibyte);
    resizer.end();
    connection->disconnect();
}

INSTANTIATE_TEST_SUITE_P(
    All, Learning,
    ::testing::Combine(::testing::Values(Learn::reconnect, Learn::poll, Learn::notify, Learn::credits),
                       ::testing::Values(Replies::simple, Replies::structured, Replies::extended)));

TEST(SessionOfSeveralConnections, HasOneSize) {
    Options options = asking(Replies::extended);
    options.connections = 3;
    Session session = Session::open(server().uri(grows + ",id=session"), options);
    ASSERT_EQ(session.connection_count(), 3U);
    session.connection(1).resize(2 * mebibyte);
    EXPECT_EQ(session.size(), 2 * mebibyte);
    const nbd::Buffer data(512, 0x11);
    session.connection(2).write(2 * mebibyte - 512, data);
    session.disconnect();
}

/// RZ-NOTE-1: the server refuses the second, and the client's own changes are told as well (RZ-NOTE-3).
TEST(SubscriptionToTheServer, GoesOnBesidesOtherRequests) {
    Options options = asking(Replies::structured);
    options.strict = false;
    const std::string knobs = grows + ",id=subscription";
    const auto connection = Connection::open(server().uri(knobs), options);
    EXPECT_EQ(connection->subscribe(), mebibyte);
    EXPECT_EQ(connection->wait(connection->submit(Operation::notify(0))).error, nbd::Error::inval);
    connection->resize(2 * mebibyte);
    while (connection->subscription()->notifications == 0) {
        ASSERT_TRUE(connection->await_notification(connection->deadline()));
    }
    EXPECT_EQ(connection->subscription()->external, 0U);
    connection->unsubscribe();
    EXPECT_EQ(connection->wait(connection->submit(Operation::cancel(1))).error, nbd::Error::inval);
    connection->disconnect();
}

} // namespace
} // namespace refclient
