// The URIs that cases give to clients.

#include "harness/check/client_uri.hpp"
#include "harness/tests/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness::check {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::message_of;
using testing_support::TempFolder;

TEST(ClientUris, HaveThePathOfTheSocket) {
    const Address at = UnixAddress{"/tmp/a b"};
    EXPECT_EQ(ClientUri("nbd+unix:///disk?socket={socket}").at(at), "nbd+unix:///disk?socket=/tmp/a%20b");
    EXPECT_EQ(ClientUri("nbd+unix:///?socket={socket-encoded}").at(at),
              "nbd+unix:///?socket=%2f%74%6d%70%2f%61%20%62");
}

TEST(ClientUris, HaveThePortOrTheHost) {
    EXPECT_EQ(ClientUri("nbd://[::1]:{port}/%64").at(TcpAddress{7, "::1"}), "nbd://[::1]:7/%64");
    EXPECT_EQ(ClientUri("nbd://{host}/").at(TcpAddress{10809, "127.1.2.3"}), "nbd://127.1.2.3/");
}

TEST(ClientUris, LeadToWhatListens) {
    const TempFolder folder;
    const auto address = [&](const char* text) { return ClientUri(text).listen(folder / "s").address; };
    EXPECT_EQ(address("nbd+unix:///?socket={socket}"), Address(UnixAddress{folder / "s"}));
    EXPECT_EQ(std::get<TcpAddress>(address("nbd://127.0.0.1:{port}")).host, "127.0.0.1");
    const auto own = std::get<TcpAddress>(address("nbd://{host}/"));
    EXPECT_EQ(own.port, 10809);
    EXPECT_THAT(own.host, StartsWith("127."));
}

TEST(ClientUris, HaveAnAddressEach) {
    const ClientUri uri("nbd://{host}/");
    const Listener one = uri.listen("");
    const Listener other = uri.listen("");
    EXPECT_FALSE(one.address == other.address);
}

TEST(ClientUris, LeadToOneServer) {
    EXPECT_THAT(message_of<std::invalid_argument>([] { (void)ClientUri("nbd://127.0.0.1/"); }),
                HasSubstr("leads to one server"));
    EXPECT_THAT(message_of<std::invalid_argument>([] { (void)ClientUri("nbd://{host}:{port}/"); }),
                HasSubstr("leads to one server"));
    EXPECT_THAT(message_of<std::invalid_argument>([] { (void)ClientUri("nbd://h:{port}/?socket={socket}"); }),
                HasSubstr("leads to one server"));
    EXPECT_THAT(message_of<std::invalid_argument>([] { (void)ClientUri("nbd+unix:///?socket={soket}"); }),
                HasSubstr("did you mean 'socket'?"));
}

TEST(ClientUris, ArePlainUnlessACaseHasOne) {
    EXPECT_EQ(plain_uri(UnixAddress{"/tmp/s"}, "a b?"), "nbd+unix:///a%20b%3F?socket=/tmp/s");
    EXPECT_EQ(plain_uri(TcpAddress{7}, "disk"), "nbd://127.0.0.1:7/disk");
}

} // namespace
} // namespace harness::check
