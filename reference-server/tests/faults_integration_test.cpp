// Faults on the wire, of the server as a process.

#include "protocol/handshake.hpp"
#include "reference-server/tests/raw_client.hpp"
#include "reference-server/tests/served.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refserver {
namespace {

/// The reply to a read of 512 bytes at offset 0 that has the cookie 7; nothing if the server has gone.
nbd::Buffer read_reply(const RawClient& client) {
    client.send(nbd::encode(nbd::CompactRequest{0, nbd::Command::read, 7, 0, 512}));
    return client.receive(nbd::wire_size<nbd::SimpleReply> + 512);
}

std::uint64_t cookie_of(const nbd::Buffer& reply) {
    return nbd::decode_prefix<nbd::SimpleReply>(reply)->cookie;
}

/// What NBD_OPT_INFO for an export is answered with at last, and the message with it.
std::pair<nbd::OptionReplyType, std::string> ask(const RawClient& client, const std::string& name) {
    (void)client.receive(nbd::wire_size<nbd::NewstyleGreeting>);
    nbd::Buffer out = nbd::encode(nbd::ClientFlags{3});
    const nbd::Buffer info = nbd::encode(nbd::InfoRequest{name, {}});
    nbd::encode_to(out, nbd::OptionRequest{nbd::Option::info, static_cast<std::uint32_t>(info.size())});
    out.insert(out.end(), info.begin(), info.end());
    client.send(out);
    for (;;) {
        const auto header = nbd::decode<nbd::OptionReply>(client.receive(nbd::wire_size<nbd::OptionReply>));
        const nbd::Buffer payload = client.receive(header->length);
        if (header->type != nbd::OptionReplyType::info) {
            return {header->type, std::string(payload.begin(), payload.end())};
        }
    }
}

TEST(WireFaults, are_in_every_connection) {
    const Served served({"--memory", "1M", "--fault", "reply-cookie-off-by-one", "--fault", "info-too-long"});
    for (int i = 0; i < 3; ++i) {
        const RawClient client(served.socket());
        EXPECT_EQ(client.enter_transmission(), 1U << 20);
        EXPECT_EQ(cookie_of(read_reply(client)), 8U);
    }
}

TEST(WireFaults, end_with_the_server) {
    Served served({"--memory", "1M", "--oddity", "replies-slow"});
    const RawClient client(served.socket());
    (void)client.enter_transmission();
    (void)read_reply(client);
    served.process().signal(SIGTERM);
    EXPECT_EQ(served.process().wait(), 0);
    EXPECT_TRUE(client.receive_all().empty());
}

TEST(WireFaults, are_chosen_by_export_names) {
    const Served served({"--wire-faults"});
    const RawClient off_by_one(served.socket());
    EXPECT_EQ(off_by_one.enter_transmission("size=1MiB,fault=reply-cookie-off-by-one"), 1U << 20);
    const RawClient sound(served.socket());
    EXPECT_EQ(sound.enter_transmission("size=1MiB"), 1U << 20);
    const RawClient odd(served.socket());
    EXPECT_EQ(odd.enter_transmission("oddity=size-513"), 513U);
    EXPECT_EQ(cookie_of(read_reply(sound)), 7U);
    EXPECT_EQ(cookie_of(read_reply(off_by_one)), 8U);
    EXPECT_EQ(cookie_of(read_reply(odd)), 7U);
}

TEST(WireFaults, are_refused_by_name_where_they_cannot_be) {
    struct Case {
        std::vector<std::string> arguments;
        std::string name;
        std::string part_of_the_message;
    };
    const std::vector<Case> cases{
        {{"--wire-faults"}, "fault=greeting-magic", "before an export is named"},
        {{"--wire-faults"}, "oddity=nosuch", "--list-oddities"},
        {{"--size", "1M"}, "fault=write-lost", "--wire-faults"},
        {{"--size", "1M"}, "oddity=trim-idle", "--wire-faults"},
    };
    for (const Case& c : cases) {
        const Served served(c.arguments);
        const RawClient client(served.socket());
        const auto [type, message] = ask(client, c.name);
        EXPECT_EQ(type, nbd::OptionReplyType::err_unknown) << c.name;
        EXPECT_NE(message.find(c.part_of_the_message), std::string::npos) << c.name << ": " << message;
    }
}

} // namespace
} // namespace refserver
