// What a case keeps of the wire.

#include "harness/run/wire_record.hpp"
#include "harness/tests/support.hpp"
#include "protocol/handshake.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace harness {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::TempFolder;

class WireRecordTest : public ::testing::Test {
  protected:
    void greet(std::uint32_t connection, std::uint16_t flags = 3) {
        record_.opened(connection);
        record_.bytes(connection, wire::Side::server, nbd::encode(nbd::NewstyleGreeting{flags}));
        record_.bytes(connection, wire::Side::client, nbd::encode(nbd::ClientFlags{3}));
    }

    TempFolder folder_;
    WireRecord record_{folder_ / "t", "case"};
};

TEST_F(WireRecordTest, CountsWhatIsBrokenAgain) {
    greet(1, 7);
    greet(2, 7);
    const auto findings = record_.findings();
    ASSERT_THAT(findings, SizeIs(1));
    EXPECT_EQ(findings[0].requirement, "HANDSHAKE-FLAGS-KNOWN");
    EXPECT_EQ(findings[0].by, wire::Side::server);
    EXPECT_EQ(findings[0].times, 2U);
    EXPECT_EQ(findings[0].place, "connection 1, byte 0 of the server");
    EXPECT_TRUE(findings[0].mandatory);
    EXPECT_FALSE(findings[0].by_ending);
}

TEST_F(WireRecordTest, SaysWhatWasNotJudged) {
    for (const std::uint32_t connection : {1U, 2U}) {
        greet(connection);
        const nbd::OptionRequest request{nbd::Option::starttls, 0};
        const nbd::OptionReply reply{nbd::Option::starttls, nbd::OptionReplyType::ack, 0};
        record_.bytes(connection, wire::Side::client, nbd::encode(request));
        record_.bytes(connection, wire::Side::server, nbd::encode(reply));
        record_.bytes(connection, wire::Side::client, nbd::Buffer{0x16, 3, 1});
    }
    EXPECT_THAT(record_.not_judged(), ElementsAre("TLS is in use"));
    EXPECT_THAT(record_.findings(), IsEmpty());
}

TEST_F(WireRecordTest, DoesNotHoldAgainstPeersWhatTheHarnessDoes) {
    greet(1);
    record_.interfere();
    record_.ended(1, wire::Side::client, wire::End::reset);
    EXPECT_THAT(record_.findings(), IsEmpty());
    // One that comes later is judged.
    greet(2);
    record_.ended(2, wire::Side::client, wire::End::closed);
    const auto findings = record_.findings();
    ASSERT_THAT(findings, SizeIs(1));
    EXPECT_EQ(findings[0].requirement, "HAGGLING-SOFT-END");
    EXPECT_TRUE(findings[0].by_ending);
}

} // namespace
} // namespace harness
