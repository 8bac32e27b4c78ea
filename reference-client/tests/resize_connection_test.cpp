// RESIZE over real sockets, with servers that do what a test says, hostile ones among them.

#include "reference-client/connection.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace refclient {
namespace {

using ::testing::HasSubstr;
using testing::hex;
using testing::ScriptedServer;
using testing::to_hex;
using Peer = ScriptedServer::Peer;
using Offer = ScriptedServer::Peer::Offer;
namespace asked = nbd::command_flag;
namespace flag = nbd::transmission_flag;

constexpr std::size_t request_size = 28;
constexpr std::uint64_t mebibyte = 1048576;
const std::string everything = "00ff 00000001 0000000000000000 0000000040000000";
const std::string chunk = "668e33ef";
const std::string c1 = "0000000000000001";
const std::string c2 = "0000000000000002";
const std::string first_size = chunk + "0000 0007" + c1 + "0000000c 0000000000100000 00000000";
const std::string notification = chunk + "0000 0007" + c1 + "0000000c 0000000000200000 00000002";
const std::string end1 = chunk + "0001 0000" + c1 + "00000000";
const std::string ok2 = "67446698 00000000" + c2;
const std::string disconnect = "25609513 0000 0002 ";

Options structured() {
    Options options;
    options.replies = Replies::structured;
    options.contexts.clear();
    options.ask_resize = true;
    return options;
}

Offer resizable() {
    return {.flags = flag::has_flags | flag::send_resize | flag::send_flush, .resize = everything};
}

template <class Work>
std::optional<Failure> failure_of(Work work) {
    try {
        work();
    } catch (const Failure& failure) {
        return failure;
    }
    return std::nullopt;
}

/// RZ-NOTE-7
TEST(HostileServer, ThatFloodsIsLeft) {
    std::string rest;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        const nbd::Buffer one = hex(notification);
        for (int i = 0; i < 20000; ++i) {
            peer.send(one);
        }
        rest = to_hex(peer.receive_all());
    });
    Options options = structured();
    options.max_notifications_per_second = 100;
    const auto connection = Connection::open(server.uri(), options);
    EXPECT_EQ(connection->subscribe(), mebibyte);
    const auto failure = failure_of([&] {
        while (connection->await_notification(connection->deadline())) {
        }
    });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::connection);
    EXPECT_THAT(failure->what(), HasSubstr("more than 100 a second"));
    EXPECT_THROW(connection->flush(), Failure);
    server.join();
    // A flood breaks no rule of the base protocol by itself, so that the client may not just hang up
    // (Terminating the transmission phase).
    nbd::Buffer farewell;
    nbd::encode_request_to(farewell, {0, nbd::Command::disc, 2, 0, 0}, nbd::HeaderStyle::compact);
    EXPECT_EQ(rest, to_hex(farewell));
}

TEST(HostileServer, CannotKeepAWaitUpByNotifications) {
    std::atomic<bool> over = false;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        const nbd::Buffer one = hex(notification);
        while (!over) {
            peer.send(one);
        }
    });
    Options options = structured();
    options.max_notifications_per_second = 0;
    options.timeout = std::chrono::milliseconds(300);
    const auto connection = Connection::open(server.uri(), options);
    connection->subscribe();
    const auto failure = failure_of([&] { connection->flush(); });
    over = true;
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->symbol(), "ETIMEDOUT");
}

/// RZ-NOTE-6
TEST(HostileServer, ThatExceedsTheCreditIsLeft) {
    std::string rest;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size + notification + notification + notification));
        rest = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    const auto failure = failure_of([&] {
        connection->subscribe(2);
        while (connection->await_notification(connection->deadline())) {
        }
    });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::protocol);
    EXPECT_THAT(failure->what(), HasSubstr("more than the 2 that were allowed"));
    server.join();
    EXPECT_EQ(rest, "");
}

/// RZ-NOTE-5: what comes behind the end belongs to no request.
TEST(HostileServer, ThatGoesOnBehindTheEndIsLeft) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size + end1 + notification));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    const auto failure = failure_of([&] {
        connection->subscribe();
        connection->flush();
    });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::protocol);
}

TEST(HostileServer, MaySayThatTheSizeIsTheLargestNumber) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size + chunk + "0000 0007" + c1 + "0000000c ffffffffffffffff 00000002"));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    while (connection->size() == mebibyte) {
        ASSERT_TRUE(connection->await_notification(connection->deadline()));
    }
    EXPECT_EQ(connection->size(), UINT64_MAX);
    nbd::Buffer memory(512);
    // Beyond any end, and not to be lost in an overflow.
    EXPECT_TRUE(failure_of([&] { connection->submit(Operation::read(UINT64_MAX - 100, memory)); }));
    connection->drop();
}

/// RZ-NOTE-10
TEST(OpenSubscription, HoldsUpNeitherSettlingNorDisconnecting) {
    std::string last;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(notification + ok2 + notification));
        last = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    EXPECT_EQ(connection->outstanding(), 0U);
    connection->flush();
    connection->settle();
    connection->disconnect();
    server.join();
    EXPECT_EQ(last, to_hex(hex(disconnect + "0000000000000003 0000000000000000 00000000")));
    EXPECT_EQ(connection->size(), 2 * mebibyte);
}

/// RZ-NOTE-8
TEST(OpenSubscription, IsCancelledByItsCookie) {
    std::string cancel;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        cancel = to_hex(peer.receive(request_size));
        peer.send(hex(notification + end1 + ok2));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    EXPECT_TRUE(connection->subscribed());
    connection->unsubscribe();
    EXPECT_FALSE(connection->subscribed());
    EXPECT_EQ(connection->subscription()->notifications, 1U);
    EXPECT_EQ(cancel, to_hex(hex("25609513 0200 0008" + c2 + c1 + "00000000")));
    connection->unsubscribe();
    connection->drop();
}

/// RZ-NOTE-8: a cookie whose subscription has ended is NBD_EINVAL.
TEST(OpenSubscription, MayEndWhileItIsBeingCancelled) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(notification + end1 + "67446698 00000016" + c2));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe(1);
    connection->unsubscribe();
    EXPECT_FALSE(connection->subscribed());
    connection->drop();
}

TEST(OpenSubscription, ThatIsNotEndedByItsCancelIsAnError) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        static_cast<void>(peer.receive(request_size));
        peer.send(hex("67446698 00000016" + c2));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    EXPECT_EQ(failure_of([&] { connection->unsubscribe(); })->kind(), FailureKind::server);
    connection->drop();
}

TEST(OpenSubscription, EndsWithTheTime) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    EXPECT_FALSE(connection->await_notification(Clock::now()));
    connection->subscribe();
    EXPECT_FALSE(connection->await_notification(Clock::now()));
    connection->disconnect();
}

/// RZ-CHUNK-3: what a notification says counts for the client's own checks.
TEST(BelievedSize, FollowsNotifications) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size + notification));
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(chunk + "0001 0001" + c2 + "0000000a 00000000001ffffe aabb" + chunk + "0000 0007" + c1 +
                      "0000000c 0000000000080000 00000002"));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    while (connection->size() != 2 * mebibyte) {
        ASSERT_TRUE(connection->await_notification(connection->deadline()));
    }
    nbd::Buffer memory(2);
    connection->read(2 * mebibyte - 2, memory);
    EXPECT_EQ(to_hex(memory), to_hex(hex("aabb")));
    while (connection->size() != mebibyte / 2) {
        ASSERT_TRUE(connection->await_notification(connection->deadline()));
    }
    const auto failure = failure_of([&] { connection->read(mebibyte / 2 - 1, memory); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::local);
    EXPECT_THAT(failure->what(), HasSubstr("ends at 524288"));
    connection->drop();
}

/// RZ-AUTO-12
TEST(BelievedSize, IsAtLeastWhereAWriteEnded) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands({.structured = false});
        static_cast<void>(peer.receive(request_size + 512));
        peer.send(hex("67446698 00000000" + c1));
        static_cast<void>(peer.receive(request_size));
        peer.send(hex("67446698 00000000" + c2 + "0102"));
        static_cast<void>(peer.receive_all());
    });
    Options options = structured();
    options.replies = Replies::simple;
    const auto connection = Connection::open(server.uri(), options);
    nbd::Buffer memory(512);
    Operation write = Operation::write(2 * mebibyte, memory);
    EXPECT_TRUE(failure_of([&] { connection->submit(write); }));
    write.past_end = true;
    EXPECT_TRUE(connection->wait(connection->submit(write)).ok());
    EXPECT_EQ(connection->size(), 2 * mebibyte + 512);
    connection->read(2 * mebibyte + 510, std::span(memory).first(2));
    EXPECT_EQ(memory[1], 2);
    EXPECT_TRUE(failure_of([&] { connection->read(2 * mebibyte + 511, std::span(memory).first(2)); }));
    EXPECT_EQ(connection->info().size, mebibyte);
    connection->drop();
}

TEST(BelievedSize, IsSharedByConnections) {
    const auto size = std::make_shared<BelievedSize>(7);
    ScriptedServer one([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(chunk + "0001 0007" + c1 + "0000000c 0000000000200000 00000000"));
        static_cast<void>(peer.receive_all());
    });
    ScriptedServer two([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive_all());
    });
    const auto first = Connection::open(one.uri(), structured(), size);
    const auto second = Connection::open(two.uri(), structured(), first->shared_size());
    EXPECT_EQ(second->size(), mebibyte);
    EXPECT_EQ(first->query_size(), 2 * mebibyte);
    EXPECT_EQ(second->size(), 2 * mebibyte);
    first->drop();
    second->drop();
}

struct Refusal {
    std::string name;
    std::uint16_t flags;
    std::string resize; ///< NBD_INFO_RESIZE
    Operation operation;
    std::string symbol;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
    return out << refusal.name;
}

class ResizeChecks : public ::testing::TestWithParam<Refusal> {};

TEST_P(ResizeChecks, SendNothing) {
    std::string received;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands({.flags = GetParam().flags, .resize = GetParam().resize});
        received = to_hex(peer.receive_all());
    });
    auto connection = Connection::open(server.uri(), structured());
    const auto failure = failure_of([&] { connection->submit(GetParam().operation); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::local);
    EXPECT_EQ(failure->symbol(), GetParam().symbol) << failure->what();
    connection.reset();
    server.join();
    EXPECT_EQ(received, to_hex(hex(disconnect + c1 + "0000000000000000 00000000")));
}

std::uint8_t bytes[512];
constexpr std::uint16_t all_flags = 0x0fff & ~flag::read_only;
constexpr std::uint16_t no_resize = all_flags & ~flag::send_resize;

std::string with(const std::string& capabilities) {
    return capabilities + "00000001 0000000000000000 0000000040000000";
}

Operation past_end(std::uint64_t offset, std::uint16_t flags = 0) {
    Operation operation = Operation::write(offset, bytes, flags);
    operation.past_end = true;
    return operation;
}

Operation changed(Operation operation, std::uint64_t offset, std::uint64_t length) {
    operation.offset = offset;
    operation.length = length;
    return operation;
}

const Refusal refusals[] = {
    {"RZ-FLAG-2 a size", no_resize, everything, Operation::resize(0x200000), "ENOTSUP"},
    {"RZ-FLAG-2 a query", no_resize, everything, Operation::query_size(), "ENOTSUP"},
    {"RZ-FLAG-2 a subscription", no_resize, everything, Operation::notify(0), "ENOTSUP"},
    {"RZ-FLAG-3 a query with nothing but the flag", all_flags, "", Operation::query_size(), "ENOTSUP"},
    {"RZ-FLAG-3 a subscription with nothing but the flag", all_flags, "", Operation::notify(0), "ENOTSUP"},
    {"RZ-INFO-7 QUERY", all_flags, with("00df"), Operation::query_size(), "ENOTSUP"},
    {"RZ-INFO-7 NOTIFY", all_flags, with("00bf"), Operation::notify(0), "ENOTSUP"},
    {"RZ-INFO-7 CANCEL", all_flags, with("00bf"), Operation::cancel(1), "ENOTSUP"},
    {"RZ-INFO-7 EXTEND", all_flags, with("00f3"), Operation::write(0, bytes, asked::extend), "ENOTSUP"},
    {"RZ-INFO-7 EXTEND without any information", all_flags, "", Operation::write(0, bytes, asked::extend),
     "ENOTSUP"},
    {"RZ-AUTO-4 EXTEND on a read", all_flags, everything, Operation::read(0, bytes, asked::extend), "EINVAL"},
    {"RZ-AUTO-4 EXTEND on a resize", all_flags, everything, Operation::resize(0x200000, asked::extend),
     "EINVAL"},
    {"RZ-CMD-1 two forms", all_flags, everything, Operation::query_size(asked::notify), "EINVAL"},
    {"RZ-CMD-1 NO_HOLE on a query", all_flags, everything, Operation::query_size(asked::no_hole), "EINVAL"},
    {"RZ-PLAIN-1 a length", all_flags, everything, changed(Operation::resize(0), 0x200000, 512), "EINVAL"},
    {"RZ-PLAIN-1 beyond 2^63-1", all_flags, everything, Operation::resize(std::uint64_t{1} << 63), "EINVAL"},
    {"RZ-QUERY-1 an offset", all_flags, everything, changed(Operation::query_size(), 1, 0), "EINVAL"},
    {"RZ-NOTE-1 an offset", all_flags, everything, changed(Operation::notify(0), 1, 0), "EINVAL"},
    {"RZ-NOTE-8 a length", all_flags, everything, changed(Operation::cancel(1), 1, 1), "EINVAL"},
    {"no EXPLICIT", all_flags, with("00fc"), Operation::resize(0x200000), "ENOTSUP"},
    {"a read-only export", all_flags | flag::read_only, "", Operation::resize(0x200000), "EPERM"},
    {"past the end by mistake", all_flags, everything, Operation::write(mebibyte, bytes), "ENOSPC"},
    {"past the end without AUTO_IMPLICIT", all_flags, with("00f7"), past_end(mebibyte), "ENOSPC"},
    {"RZ-AUTO-9 beyond 2^63-1", all_flags, everything, past_end((std::uint64_t{1} << 63) - 511), "EINVAL"},
    {"RZ-AUTO-9 beyond 2^64-1", all_flags, everything, past_end(UINT64_MAX - 5, asked::extend), "EINVAL"},
};

INSTANTIATE_TEST_SUITE_P(All, ResizeChecks, ::testing::ValuesIn(refusals));

/// RZ-NOTE-1
TEST(OpenSubscription, IsTheOnlyOne) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(resizable());
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(first_size));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), structured());
    connection->subscribe();
    const auto failure = failure_of([&] { connection->subscribe(); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::local);
    EXPECT_TRUE(connection->subscribed());
    connection->drop();
}

} // namespace
} // namespace refclient
