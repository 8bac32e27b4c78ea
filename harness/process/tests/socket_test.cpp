#include "harness/process/process.hpp"
#include "harness/process/socket.hpp"
#include "harness/process/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace harness {
namespace {

using namespace testing_support;
using namespace std::chrono_literals;

class SocketTest : public ::testing::TestWithParam<bool> {
  protected:
    Listener listen() const { return GetParam() ? listen_tcp() : listen_unix(workspace.path() / "socket"); }
    Workspace workspace;
};

INSTANTIATE_TEST_SUITE_P(Families, SocketTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Tcp" : "Unix"; });

TEST_P(SocketTest, IsSeenWhileItListens) {
    Listener listener = listen();
    for (const Probe probe : {Probe::connect, Probe::listening})
        EXPECT_TRUE(accepts(listener.address, probe));
    EXPECT_NE(::fcntl(listener.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    listener.fd.reset();
    for (const Probe probe : {Probe::connect, Probe::listening})
        EXPECT_FALSE(accepts(listener.address, probe));
}

TEST_P(SocketTest, LookingDoesNotConnect) {
    const Listener listener = listen();
    ASSERT_TRUE(accepts(listener.address, Probe::listening));
    pollfd watched{listener.fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&watched, 1, 20), 0) << "nobody came";
    ASSERT_TRUE(accepts(listener.address, Probe::connect));
    EXPECT_EQ(::poll(&watched, 1, 60000), 1);
}

TEST_P(SocketTest, WaitEndsAtTheDeadline) {
    Listener listener = listen();
    listener.fd.reset();
    for (const Probe probe : {Probe::connect, Probe::listening})
        EXPECT_EQ(wait_until_accepting(listener.address, Process::Clock::now() + 30ms, nullptr, probe),
                  Readiness::timed_out);
}

TEST_P(SocketTest, WaitEndsWithTheServer) {
    Listener listener = listen();
    listener.fd.reset();
    Process server = Process::start(shell("sleep 0.05; exit 3"));
    EXPECT_EQ(wait_until_accepting(listener.address, generous_deadline(), &server), Readiness::exited);
    EXPECT_EQ(server.wait_for(0ms)->code, 3);
}

TEST_P(SocketTest, WaitEndsWhenSomebodyListens) {
    Listener listener = listen();
    const Address address = listener.address;
    listener.fd.reset();
    if (!GetParam())
        std::filesystem::remove(std::get<UnixAddress>(address).path);
    Process bystander = Process::start(capturing({"sleep", "1000"}));
    std::thread late([&] {
        std::this_thread::sleep_for(30ms);
        listener = GetParam() ? listen_tcp() : listen_unix(std::get<UnixAddress>(address).path);
    });
    if (GetParam()) {
        late.join();
        EXPECT_EQ(wait_until_accepting(listener.address, generous_deadline(), &bystander), Readiness::ready);
    } else {
        EXPECT_EQ(wait_until_accepting(address, generous_deadline(), &bystander), Readiness::ready);
        late.join();
    }
}

TEST(Socket, WorksWithAServerThatDetached) {
    Workspace workspace;
    const Listener listener = listen_unix(workspace.path() / "s");
    Process gone = Process::start(capturing({"true"}));
    ASSERT_TRUE(gone.wait_for(generous));
    EXPECT_EQ(wait_until_accepting(listener.address, generous_deadline(), &gone), Readiness::ready);
}

TEST(Socket, PathIsBounded) {
    Workspace workspace;
    const auto fits =
        workspace.path() / std::string(longest_socket_path - workspace.path().native().size() - 1, 's');
    const Listener listener = listen_unix(fits);
    EXPECT_TRUE(accepts(listener.address, Probe::listening));
    EXPECT_TRUE(accepts(listener.address, Probe::connect));
    try {
        listen_unix(fits.string() + "s");
        ADD_FAILURE() << "bound";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENAMETOOLONG);
    }
    EXPECT_THROW(listen_unix(fits), std::system_error) << "in use";
}

TEST(Socket, ReservedPortServesAServerAndNobodyElse) {
    const ReservedPort port;
    ASSERT_NE(port.number(), 0);
    const Address address = TcpAddress{port.number()};
    EXPECT_FALSE(accepts(address, Probe::connect));
    EXPECT_FALSE(accepts(address, Probe::listening));
    for (int i = 0; i < 200; ++i)
        ASSERT_NE(std::get<TcpAddress>(listen_tcp().address).port, port.number());

    const UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(server.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port.number());
    name.sin_addr.s_addr = htonl(INADDR_ANY);
    ASSERT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    ASSERT_EQ(::listen(server.get(), 1), 0);
    EXPECT_TRUE(accepts(address, Probe::connect));
    EXPECT_TRUE(accepts(address, Probe::listening));
}

TEST(Socket, AddressesAreDescribed) {
    EXPECT_EQ(describe(UnixAddress{"/tmp/s"}), "unix:/tmp/s");
    EXPECT_EQ(describe(TcpAddress{10809}), "127.0.0.1:10809");
}

} // namespace
} // namespace harness
