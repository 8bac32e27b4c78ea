// Connections over real sockets to servers that do what a test says.

#include "reference-client/connection.hpp"
#include "reference-client/handshake.hpp"
#include "reference-client/session.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/tests/support/servers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient {
namespace {

using ::testing::HasSubstr;
using testing::hex;
using testing::ScriptedServer;
using testing::to_hex;
using Peer = ScriptedServer::Peer;

constexpr std::size_t request_size = 28;
constexpr std::uint64_t mebibyte = 1048576;
const std::string ok1 = "67446698 00000000 0000000000000001";

Options plain() {
    Options options;
    options.replies = Replies::simple;
    return options;
}

/// What a call throws.
template <class Work>
std::optional<Failure> failure_of(Work work) {
    try {
        work();
    } catch (const Failure& failure) {
        return failure;
    }
    return std::nullopt;
}

TEST(Connection, DisconnectsByTheRules) {
    std::string last;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        static_cast<void>(peer.receive(request_size));
        peer.send(hex(ok1));
        last = to_hex(peer.receive(request_size));
    });
    const auto connection = Connection::open(server.uri(), plain());
    connection->flush();
    connection->disconnect();
    server.join();
    EXPECT_EQ(last, to_hex(hex("25609513 0000 0002 0000000000000002 0000000000000000 00000000")));
    EXPECT_TRUE(failure_of([&] { connection->flush(); }));
}

TEST(Connection, SaysGoodbyeWhenItIsDestroyed) {
    std::string last;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        last = to_hex(peer.receive_all());
    });
    Connection::open(server.uri(), plain()).reset();
    server.join();
    EXPECT_EQ(last, to_hex(hex("25609513 0000 0002 0000000000000001 0000000000000000 00000000")));
}

TEST(Connection, DropsWithoutAWord) {
    std::string last = "nothing yet";
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        last = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    connection->drop();
    server.join();
    EXPECT_EQ(last, "");
}

TEST(Connection, GivesUpOnASilentServer) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        static_cast<void>(peer.receive_all());
    });
    Options options = plain();
    options.timeout = std::chrono::milliseconds(300);
    const auto connection = Connection::open(server.uri(), options);
    const auto failure = failure_of([&] { connection->flush(); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::connection);
    EXPECT_EQ(failure->symbol(), "ETIMEDOUT");
    EXPECT_EQ(failure_of([&] { connection->flush(); })->symbol(), "ETIMEDOUT");
}

TEST(Connection, GivesUpOnASilentGreeting) {
    ScriptedServer server([&](const Peer& peer) { static_cast<void>(peer.receive_all()); });
    Options options = plain();
    options.timeout = std::chrono::milliseconds(200);
    const auto failure = failure_of([&] { static_cast<void>(Connection::open(server.uri(), options)); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->symbol(), "ETIMEDOUT");
    EXPECT_THAT(failure->what(), HasSubstr("greeting"));
}

TEST(Connection, FailsEverythingInFlightWhenTheServerGoes) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 1);
        static_cast<void>(peer.receive(16 * request_size));
        peer.send(hex("67446698 00000000 0000000000000003 aabb"));
    });
    const auto connection = Connection::open(server.uri(), plain());
    std::array<std::uint8_t, 32> memory{};
    std::vector<Cookie> cookies;
    for (std::size_t i = 0; i < 16; ++i) {
        cookies.push_back(connection->submit(Operation::read(i, std::span(memory).subspan(2 * i, 2))));
    }
    server.join();
    for (std::size_t i = 0; i < cookies.size(); ++i) {
        const auto failure = failure_of([&] { static_cast<void>(connection->wait(cookies[i])); });
        // What was answered before is not lost.
        EXPECT_EQ(failure.has_value(), i != 2) << i;
        if (failure) {
            EXPECT_EQ(failure->kind(), FailureKind::connection);
            EXPECT_EQ(failure->symbol(), "ECONNRESET");
        }
    }
    EXPECT_EQ(memory[4], 0xaa);
    EXPECT_EQ(memory[5], 0xbb);
}

TEST(Connection, DropsAServerThatBreaksTheProtocol) {
    std::string rest = "nothing yet";
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        static_cast<void>(peer.receive(request_size));
        peer.send(hex("67446698 00000000 00000000000000ff"));
        rest = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    const auto failure = failure_of([&] { connection->flush(); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::protocol);
    EXPECT_EQ(failure->symbol(), "EPROTO");
    server.join();
    EXPECT_EQ(rest, ""); // a hard disconnect: no NBD_CMD_DISC
}

TEST(Connection, LeavesAServerThatShutsDown) {
    std::string last;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        static_cast<void>(peer.receive(2 * request_size));
        peer.send(hex("67446698 0000006c 0000000000000001"));
        peer.send(hex("67446698 00000000 0000000000000002"));
        last = to_hex(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    const Cookie first = connection->submit(Operation::flush());
    const Cookie second = connection->submit(Operation::flush());
    EXPECT_EQ(connection->wait(first).error, nbd::Error::shutdown);
    // What is in flight is still finished.
    EXPECT_TRUE(connection->wait(second).ok());
    EXPECT_EQ(failure_of([&] { connection->flush(); })->symbol(), "ESHUTDOWN");
    server.join();
    EXPECT_EQ(last, to_hex(hex("25609513 0000 0002 0000000000000003 0000000000000000 00000000")));
}

TEST(Connection, SendsAndReceivesAtTheSameTime) {
    // Neither side's socket holds this much: a client that does not read while it writes would never end.
    constexpr std::size_t size = 4 * mebibyte;
    constexpr std::uint64_t count = 8;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(64 * mebibyte, 1);
        const nbd::Buffer data(size, 0x77);
        for (std::uint64_t i = 0; i < count; ++i) {
            static_cast<void>(peer.receive(request_size));
            nbd::Buffer reply = hex("67446698 00000000 0000000000000000");
            reply.back() = static_cast<std::uint8_t>(2 * i + 1);
            peer.send(reply);
            peer.send(data);
            static_cast<void>(peer.receive(request_size + size));
            reply.back() = static_cast<std::uint8_t>(2 * i + 2);
            peer.send(reply);
        }
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    nbd::Buffer to_write(size, 0x11);
    std::vector<nbd::Buffer> to_read(count, nbd::Buffer(size));
    std::vector<Cookie> cookies;
    for (std::uint64_t i = 0; i < count; ++i) {
        cookies.push_back(connection->submit(Operation::read(0, to_read[i])));
        cookies.push_back(connection->submit(Operation::write(0, to_write)));
    }
    for (const Cookie cookie : cookies) {
        EXPECT_TRUE(connection->wait(cookie).ok());
    }
    EXPECT_EQ(to_read.back(), nbd::Buffer(size, 0x77));
    connection->drop();
}

TEST(Connection, SendsQueuedRequestsTogether) {
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, 5);
        // Answers none before it has them all, so that sending one by one and waiting would never end.
        EXPECT_EQ(peer.receive(3 * request_size).size(), 3 * request_size);
        peer.send(hex(ok1 + "67446698 00000000 0000000000000002 67446698 00000000 0000000000000003"));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    const Cookie first = connection->queue(Operation::flush());
    connection->queue(Operation::flush());
    connection->queue(Operation::flush());
    EXPECT_TRUE(connection->wait(first).ok());
    connection->settle();
    EXPECT_EQ(connection->outstanding(), 2U);
    connection->drop();
}

TEST(Connection, TakesNothingThatWasNotAskedFor) {
    ScriptedServer server([&](const Peer& peer) {
        peer.send(hex("4e42444d41474943 49484156454f5054 0003"));
        static_cast<void>(peer.receive(4 + 16 + 4 + 2 + 6));
        peer.send(hex("0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 0005"
                      "0003e889045565a9 00000007 00000001 00000000" +
                      ok1));
        static_cast<void>(peer.receive_all());
    });
    // Comes with the end of the handshake, or behind it.
    const auto failure = failure_of([&] { Connection::open(server.uri(), plain())->flush(); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::protocol);
}

TEST(Connection, RefusesTlsUris) {
    nbd::Uri uri;
    uri.tls = true;
    const auto failure = failure_of([&] { static_cast<void>(Connection::open(uri, {})); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::local);
    EXPECT_THAT(failure->what(), HasSubstr("TLS"));
}

struct Refusal {
    std::string name;
    std::uint16_t flags;
    Operation operation;
    std::string symbol;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
    return out << refusal.name;
}

class LocalChecks : public ::testing::TestWithParam<Refusal> {};

/// The server offers only what the flags say, so that nothing but NBD_CMD_DISC may arrive.
TEST_P(LocalChecks, SendNothing) {
    std::string received;
    ScriptedServer server([&](const Peer& peer) {
        peer.shake_hands(mebibyte, GetParam().flags);
        received = to_hex(peer.receive_all());
    });
    auto connection = Connection::open(server.uri(), plain());
    const auto failure = failure_of([&] { connection->submit(GetParam().operation); });
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->kind(), FailureKind::local);
    EXPECT_EQ(failure->symbol(), GetParam().symbol) << failure->what();
    connection.reset();
    server.join();
    EXPECT_EQ(received, to_hex(hex("25609513 0000 0002 0000000000000001 0000000000000000 00000000")));
}

std::uint8_t byte[512];
const std::uint16_t all_flags = 0x0dff & ~nbd::transmission_flag::read_only;

const Refusal refusals[] = {
    {"flush not offered", 1, Operation::flush(), "ENOTSUP"},
    {"trim not offered", 1, Operation::range(nbd::Command::trim, 0, 512), "ENOTSUP"},
    {"zeroes not offered", 1, Operation::range(nbd::Command::write_zeroes, 0, 512), "ENOTSUP"},
    {"cache not offered", 1, Operation::range(nbd::Command::cache, 0, 512), "ENOTSUP"},
    {"FUA not offered", 1, Operation::write(0, byte, nbd::command_flag::fua), "ENOTSUP"},
    {"fast zeroes not offered", 0x41,
     Operation::range(nbd::Command::write_zeroes, 0, 512, nbd::command_flag::fast_zero), "ENOTSUP"},
    {"DF without structured replies", all_flags, Operation::read(0, byte, nbd::command_flag::df), "ENOTSUP"},
    {"block status without context", all_flags, Operation::range(nbd::Command::block_status, 0, 512),
     "ENOTSUP"},
    {"write to a read-only export", 3, Operation::write(0, byte), "EPERM"},
    {"zeroes to a read-only export", 0x43, Operation::range(nbd::Command::write_zeroes, 0, 512), "EPERM"},
    {"read past the end", all_flags, Operation::read(mebibyte - 511, byte), "EINVAL"},
    {"read far past the end", all_flags, Operation::read(UINT64_MAX - 1, byte), "EINVAL"},
    {"write past the end", all_flags, Operation::write(mebibyte, byte), "ENOSPC"},
    {"nothing to read", all_flags, Operation::range(nbd::Command::read, 0, 0), "EINVAL"},
    {"a flag that does not belong", all_flags,
     Operation::range(nbd::Command::trim, 0, 512, nbd::command_flag::no_hole), "EINVAL"},
};

INSTANTIATE_TEST_SUITE_P(All, LocalChecks, ::testing::ValuesIn(refusals));

TEST(LocalChecks, KeepToTheBlockSizes) {
    ScriptedServer server([&](const Peer& peer) {
        peer.send(hex("4e42444d41474943 49484156454f5054 0003"));
        static_cast<void>(peer.receive(4 + 16 + 4 + 2 + 6));
        peer.send(hex("0003e889045565a9 00000007 00000003 0000000e 0003 00001000 00001000 00002000"));
        peer.send(hex("0003e889045565a9 00000007 00000003 0000000c 0000 0000000000100000 0001"));
        peer.send(hex("0003e889045565a9 00000007 00000001 00000000"));
        static_cast<void>(peer.receive_all());
    });
    const auto connection = Connection::open(server.uri(), plain());
    nbd::Buffer memory(3 * 4096);
    const auto refused = [&](Operation operation) {
        const auto failure = failure_of([&] { connection->submit(std::move(operation)); });
        return failure && failure->kind() == FailureKind::local;
    };
    EXPECT_TRUE(refused(Operation::read(512, std::span(memory).first(4096))));
    EXPECT_TRUE(refused(Operation::read(4096, std::span(memory).first(512))));
    EXPECT_TRUE(refused(Operation::write(4096, memory)));
    EXPECT_FALSE(refused(Operation::write(4096, std::span(memory).first(2 * 4096))));
    connection->drop();
}

} // namespace
} // namespace refclient
