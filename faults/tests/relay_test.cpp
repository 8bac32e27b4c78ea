// The relay moves bytes, ends and resets between two real sockets.

#include "faults/make.hpp"
#include "faults/relay.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace faults {
namespace {

/// A client's socket and a server's, with a relay that the server has put between them.
class Pair {
  public:
    explicit Pair(const Recipe& recipe) {
        const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::bind(listening, generic, size), 0);
        EXPECT_EQ(::listen(listening, 1), 0);
        EXPECT_EQ(::getsockname(listening, generic, &size), 0);
        EXPECT_EQ(::connect(client_, generic, size), 0);
        server_ = interpose(::accept(listening, nullptr, nullptr), recipe, Side::server);
        ::close(listening);
        const timeval patience{10, 0};
        ::setsockopt(client_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(server_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~Pair() {
        close_client();
        close_server();
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    [[nodiscard]] int client() const { return client_; }
    [[nodiscard]] int server() const { return server_; }
    void close_client() { close(client_); }
    void close_server() { close(server_); }

  private:
    static void close(int& socket) {
        if (socket >= 0) {
            ::close(std::exchange(socket, -1));
        }
    }

    int client_ = -1;
    int server_ = -1;
};

void write_all(int socket, const nbd::Buffer& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t some = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        ASSERT_GT(some, 0) << std::strerror(errno);
        sent += static_cast<std::size_t>(some);
    }
}

nbd::Buffer read_some(int socket, std::size_t count) {
    nbd::Buffer bytes(count);
    std::size_t got = 0;
    while (got < count) {
        const ssize_t some = ::recv(socket, bytes.data() + got, count - got, 0);
        if (some <= 0) {
            break;
        }
        got += static_cast<std::size_t>(some);
    }
    bytes.resize(got);
    return bytes;
}

bool at_end(int socket) {
    char byte = 0;
    return ::recv(socket, &byte, 1, 0) == 0;
}

const nbd::Buffer greeting = nbd::encode(nbd::NewstyleGreeting{3});
const nbd::Buffer flags = nbd::encode(nbd::ClientFlags{3});

Recipe nothing() {
    return twist([](Raw& /*raw*/) {});
}

TEST(Relay, moves_bytes_both_ways) {
    const Pair pair(nothing());
    write_all(pair.server(), greeting);
    EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
    write_all(pair.client(), flags);
    EXPECT_EQ(read_some(pair.server(), flags.size()), flags);
}

TEST(Relay, passes_half_closes_on) {
    const Pair pair(nothing());
    write_all(pair.server(), greeting);
    EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
    write_all(pair.client(), flags);
    ::shutdown(pair.client(), SHUT_WR);
    EXPECT_EQ(read_some(pair.server(), 100), flags);
    const nbd::Buffer bye{1, 2, 3, 4};
    write_all(pair.server(), bye);
    ::shutdown(pair.server(), SHUT_WR);
    EXPECT_EQ(read_some(pair.client(), 100), bye);
}

TEST(Relay, delivers_what_was_sent_before_a_close) {
    Pair pair(nothing());
    const nbd::Buffer much(std::size_t{8} << 20, 7);
    write_all(pair.server(), greeting);
    std::thread writer([&] {
        write_all(pair.server(), much);
        pair.close_server();
    });
    EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
    EXPECT_EQ(read_some(pair.client(), much.size() + 1).size(), much.size());
    writer.join();

    Pair other_way(nothing());
    write_all(other_way.server(), greeting);
    write_all(other_way.client(), flags);
    other_way.close_client();
    EXPECT_EQ(read_some(other_way.server(), 100), flags);
}

TEST(Relay, does_not_buffer_without_end) {
    const Pair pair(nothing());
    write_all(pair.server(), greeting);
    ASSERT_EQ(read_some(pair.client(), greeting.size()), greeting);
    const nbd::Buffer some(65536, 1);
    std::size_t taken = 0;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    int idle = 0;
    while (idle < 20 && std::chrono::steady_clock::now() < deadline) {
        const ssize_t sent = ::send(pair.server(), some.data(), some.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        taken += sent > 0 ? static_cast<std::size_t>(sent) : 0;
        idle = sent > 0 ? 0 : idle + 1;
        if (sent <= 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    EXPECT_GE(idle, 20) << "the server could go on for ever";
    EXPECT_LT(taken, std::size_t{64} << 20);
}

TEST(Relay, hangs_up) {
    const Pair pair(twist([](Greeting& /*greeting*/, Flow& flow) {
        flow.forward();
        flow.hang_up();
    }));
    write_all(pair.server(), greeting);
    EXPECT_EQ(read_some(pair.client(), 100), greeting);
    EXPECT_TRUE(at_end(pair.server()));
}

TEST(Relay, resets) {
    const Pair pair(twist([](ClientFlags& /*flags*/, Flow& flow) { flow.reset(); }));
    write_all(pair.server(), greeting);
    EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
    write_all(pair.client(), flags);
    char byte = 0;
    EXPECT_EQ(::recv(pair.client(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST(Relay, pauses) {
    const Pair pair(twist([](Greeting& /*greeting*/, Flow& flow) {
        flow.pause(Side::client, std::chrono::milliseconds(100));
        flow.in_pieces(Side::client, 1);
    }));
    const auto begin = std::chrono::steady_clock::now();
    write_all(pair.server(), greeting);
    EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(100));
}

TEST(Relay, serves_many_at_a_time) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([] {
            for (int round = 0; round < 4; ++round) {
                const Pair pair(nothing());
                write_all(pair.server(), greeting);
                EXPECT_EQ(read_some(pair.client(), greeting.size()), greeting);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

} // namespace
} // namespace faults
