// The tap between real sockets: bytes, ends, and what does not fit.

#include "harness/process/fd.hpp"
#include "harness/tap/tap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <map>
#include <netinet/in.h>
#include <poll.h>
#include <random>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <vector>

namespace harness {
namespace {

using wire::End;
using wire::Side;
using namespace std::chrono_literals;

constexpr std::chrono::seconds generous{60};

/// Writes down what it is told.
class Notes : public TapObserver {
  public:
    void opened(std::uint32_t connection) override { connections.push_back(connection); }
    void bytes(std::uint32_t connection, Side from, std::span<const std::uint8_t> bytes) override {
        auto& stream = streams[{connection, from}];
        stream.insert(stream.end(), bytes.begin(), bytes.end());
    }
    void ended(std::uint32_t connection, Side by, End how) override { ends.push_back({connection, by, how}); }

    struct Ended {
        std::uint32_t connection;
        Side by;
        End how;
        bool operator==(const Ended&) const = default;
    };
    std::vector<std::uint32_t> connections;
    std::map<std::pair<std::uint32_t, Side>, std::vector<std::uint8_t>> streams;
    std::vector<Ended> ends;
};

int connect_to(const Address& address) {
    if (const auto* unix_address = std::get_if<UnixAddress>(&address)) {
        const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::strncpy(name.sun_path, unix_address->path.c_str(), sizeof name.sun_path - 1);
        EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0)
            << std::strerror(errno);
        return socket;
    }
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(std::get<TcpAddress>(address).port);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name), 0) << std::strerror(errno);
    return socket;
}

void send_all(int socket, std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        ASSERT_GT(sent, 0) << std::strerror(errno);
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
}

/// What comes until the end; `error` gets the errno of one by force, else 0.
std::vector<std::uint8_t> receive_all(int socket, int& error) {
    std::vector<std::uint8_t> all;
    std::array<std::uint8_t, 65536> buffer{};
    for (;;) {
        const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
        if (size <= 0) {
            error = size < 0 ? errno : 0;
            return all;
        }
        all.insert(all.end(), buffer.begin(), buffer.begin() + size);
    }
}

std::vector<std::uint8_t> receive_all(int socket) {
    int error = 0;
    auto all = receive_all(socket, error);
    EXPECT_EQ(error, 0) << std::strerror(error);
    return all;
}

/// Both kinds of sockets.
class TapTest : public ::testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "tap-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        listener_ = GetParam() ? listen_tcp() : listen_unix(folder_ / "server");
        tap_ = std::make_unique<Tap>(listener_.address, folder_ / "tap", notes_);
    }
    void TearDown() override {
        tap_.reset();
        std::filesystem::remove_all(folder_);
    }
    /// A client's end and the server's end of a connection through the tap.
    std::pair<UniqueFd, UniqueFd> connection() {
        UniqueFd client(connect_to(tap_->address()));
        UniqueFd server(::accept(listener_.fd.get(), nullptr, nullptr));
        EXPECT_TRUE(server.valid());
        return {std::move(client), std::move(server)};
    }
    void settle() { EXPECT_TRUE(tap_->wait_idle(std::chrono::steady_clock::now() + generous)); }

    Notes notes_;
    std::filesystem::path folder_;
    Listener listener_;
    std::unique_ptr<Tap> tap_;
};

TEST_P(TapTest, ForwardsWhateverIsSentInWhateverPieces) {
    std::mt19937 random(5);
    for (int round = 0; round < 8; ++round) {
        auto [client, server] = connection();
        const auto make = [&](std::size_t size) {
            std::vector<std::uint8_t> bytes(size);
            std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
            return bytes;
        };
        const auto question = make(random() % 2'000'000);
        const auto answer = make(random() % 2'000'000);
        const auto send_in_pieces = [](int socket, std::span<const std::uint8_t> bytes,
                                       std::mt19937::result_type seed) {
            std::mt19937 pieces(seed);
            while (!bytes.empty()) {
                const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 1 + pieces() % 100'000));
                send_all(socket, piece);
                bytes = bytes.subspan(piece.size());
            }
            ::shutdown(socket, SHUT_WR);
        };
        auto at_server = std::async(std::launch::async, [&] { return receive_all(server.get()); });
        auto at_client = std::async(std::launch::async, [&] { return receive_all(client.get()); });
        std::thread sender([&, seed = random()] { send_in_pieces(client.get(), question, seed); });
        send_in_pieces(server.get(), answer, random());
        sender.join();
        EXPECT_TRUE(at_server.get() == question);
        EXPECT_TRUE(at_client.get() == answer);
        settle();
        const auto number = static_cast<std::uint32_t>(round + 1);
        EXPECT_TRUE((notes_.streams[{number, Side::client}]) == question);
        EXPECT_TRUE((notes_.streams[{number, Side::server}]) == answer);
        EXPECT_EQ(notes_.connections.back(), number);
    }
}

TEST_P(TapTest, PassesOnHalfAClose) {
    auto [client, server] = connection();
    send_all(client.get(), std::array<std::uint8_t, 3>{1, 2, 3});
    ::shutdown(client.get(), SHUT_WR);
    EXPECT_EQ(receive_all(server.get()).size(), 3U);
    send_all(server.get(), std::array<std::uint8_t, 2>{4, 5});
    server.reset();
    EXPECT_EQ(receive_all(client.get()).size(), 2U);
    settle();
    EXPECT_EQ(notes_.ends,
              (std::vector<Notes::Ended>{{1, Side::client, End::closed}, {1, Side::server, End::closed}}));
}

TEST_P(TapTest, PassesOnAReset) {
    auto [client, server] = connection();
    send_all(client.get(), std::array<std::uint8_t, 1>{7});
    std::array<std::uint8_t, 1> byte{};
    ASSERT_EQ(::recv(server.get(), byte.data(), 1, 0), 1);
    send_all(server.get(), std::array<std::uint8_t, 1>{8});
    pollfd waiting{client.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, -1), 1);
    // Bytes that nobody has read make a reset of it, for both kinds of sockets.
    client.reset();
    int error = 0;
    EXPECT_TRUE(receive_all(server.get(), error).empty());
    if (GetParam()) {
        EXPECT_EQ(error, ECONNRESET);
    }
    settle();
    EXPECT_EQ(notes_.ends, (std::vector<Notes::Ended>{{1, Side::client, End::reset}}));
}

TEST_P(TapTest, LosesNothingOfAServerThatSendsAndLeaves) {
    auto [client, server] = connection();
    const std::vector<std::uint8_t> much(1 << 20, 9);
    auto at_client = std::async(std::launch::async, [&] { return receive_all(client.get()); });
    send_all(server.get(), much);
    server.reset();
    EXPECT_EQ(at_client.get().size(), much.size());
}

TEST_P(TapTest, MakesASenderWaitForAReaderThatDoesNotRead) {
    auto [client, server] = connection();
    timeval patience{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const std::vector<std::uint8_t> block(65536);
    std::size_t sent = 0;
    constexpr std::size_t more_than_buffers_hold = 64U << 20;
    while (sent < more_than_buffers_hold) {
        const ssize_t size = ::send(client.get(), block.data(), block.size(), MSG_NOSIGNAL);
        if (size < 0) {
            break;
        }
        sent += static_cast<std::size_t>(size);
    }
    EXPECT_LT(sent, more_than_buffers_hold);
    auto at_server = std::async(std::launch::async, [&] { return receive_all(server.get()); });
    client.reset();
    EXPECT_EQ(at_server.get().size(), sent);
}

TEST_P(TapTest, EndsAConnectionThatTheServerDoesNotTake) {
    listener_.fd.reset();
    if (!GetParam()) {
        std::filesystem::remove(folder_ / "server");
    }
    const UniqueFd client(connect_to(tap_->address()));
    int error = 0;
    EXPECT_TRUE(receive_all(client.get(), error).empty());
    settle();
    EXPECT_TRUE(notes_.ends.empty());
}

TEST_P(TapTest, TellsAWriterThatItsReaderIsGone) {
    auto [client, server] = connection();
    server.reset();
    const std::vector<std::uint8_t> block(65536);
    const auto until = std::chrono::steady_clock::now() + generous;
    ssize_t sent = 0;
    while (sent >= 0 && std::chrono::steady_clock::now() < until) {
        sent = ::send(client.get(), block.data(), block.size(), MSG_NOSIGNAL);
    }
    EXPECT_LT(sent, 0);
    EXPECT_TRUE(errno == EPIPE || errno == ECONNRESET) << std::strerror(errno);
}

TEST_P(TapTest, KeepsManyConnectionsApart) {
    constexpr std::uint32_t many = 50;
    std::thread echo([&] {
        std::vector<std::thread> servers;
        for (std::uint32_t i = 0; i < many; ++i) {
            servers.emplace_back([fd = ::accept(listener_.fd.get(), nullptr, nullptr)] {
                const UniqueFd server(fd);
                send_all(server.get(), receive_all(server.get()));
            });
        }
        for (std::thread& server : servers) {
            server.join();
        }
    });
    std::vector<std::thread> clients;
    for (std::uint32_t i = 0; i < many; ++i) {
        clients.emplace_back([this, i] {
            const UniqueFd client(connect_to(tap_->address()));
            const std::vector<std::uint8_t> mine(10'000 + i, static_cast<std::uint8_t>(i));
            send_all(client.get(), mine);
            ::shutdown(client.get(), SHUT_WR);
            EXPECT_TRUE(receive_all(client.get()) == mine);
        });
    }
    for (std::thread& client : clients) {
        client.join();
    }
    echo.join();
    settle();
    EXPECT_EQ(notes_.connections.size(), many);
    EXPECT_EQ(notes_.ends.size(), 2 * many);
}

TEST_P(TapTest, StopsInTheMiddle) {
    auto [client, server] = connection();
    send_all(client.get(), std::array<std::uint8_t, 1>{1});
    std::array<std::uint8_t, 1> byte{};
    ASSERT_EQ(::recv(server.get(), byte.data(), 1, 0), 1);
    tap_->stop();
    int error = 0;
    EXPECT_TRUE(receive_all(client.get(), error).empty());
    EXPECT_TRUE(receive_all(server.get(), error).empty());
    EXPECT_TRUE(notes_.ends.empty());
}

INSTANTIATE_TEST_SUITE_P(Sockets, TapTest, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Tcp" : "Unix"; });

} // namespace
} // namespace harness
