// Whether it is TLS what comes once TLS was agreed.

#include "harness/wire/tests/conversation.hpp"
#include "harness/wire/tls.hpp"

#include <gtest/gtest.h>

#include <string>

namespace wire {
namespace {

constexpr std::uint8_t alert = 21;
constexpr std::uint8_t handshake = 22;
constexpr std::uint8_t data = 23;

nbd::Buffer record(std::uint8_t type, const nbd::Buffer& content) {
    nbd::Buffer bytes{type, 3, 3, static_cast<std::uint8_t>(content.size() >> 8),
                      static_cast<std::uint8_t>(content.size() & 0xff)};
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

/// A connection on which TLS was agreed and the client has begun.
class Begun : public Conversation {
  public:
    Begun() { hello().agree(nbd::Option::starttls).client(record(handshake, nbd::Buffer(300))); }

    /// The broken requirements.
    [[nodiscard]] std::string broken() const {
        std::string all;
        for (const Violation& violation : violations()) {
            all +=
                std::string(violation.requirement) + (violation.by == Side::client ? " client;" : " server;");
        }
        return all;
    }
};

TEST(Tls, IsFoundWhereItIs) {
    Begun c;
    c.server(record(handshake, nbd::Buffer(1U << 14))).server(record(20, {1}));
    c.client(record(data, {1, 2})).client(record(data, {})).server(record(data, nbd::Buffer(100)));
    c.client_ends().server_ends();
    EXPECT_EQ(c.broken(), "");
}

TEST(Tls, IsFoundInPiecesOfAnySize) {
    Begun c;
    const nbd::Buffer option = nbd::encode(nbd::OptionRequest{nbd::Option::list, 0});
    for (const nbd::Buffer& whole : {record(data, {1, 2, 3}), record(alert, {1, 0}), option}) {
        for (const std::uint8_t byte : whole) {
            EXPECT_EQ(c.broken(), "");
            c.client({byte});
            if (c.violations().size() == 1) {
                break;
            }
        }
    }
    EXPECT_EQ(c.broken(), "STARTTLS-NO-CLEAR client;");
}

TEST(Tls, IsMissedOnceOnly) {
    Begun c;
    c.server(nbd::Buffer(100, 'x')).server(nbd::Buffer(100, 'x'));
    EXPECT_EQ(c.broken(), "STARTTLS-NO-CLEAR server;");
}

TEST(Tls, HasNoLongerRecords) {
    Begun c;
    c.server({handshake, 3, 3, 0xff, 0xff});
    EXPECT_EQ(c.broken(), "STARTTLS-NO-CLEAR server;");
}

TEST(Tls, MayBeRefusedByAnAlert) {
    Conversation c;
    c.hello().agree(nbd::Option::starttls).client(record(alert, {2, 80})).client_ends();
    EXPECT_TRUE(c.violations().empty());
}

TEST(Tls, MayFail) {
    Begun c;
    c.server(record(alert, {2, 40})).client(record(alert, {1, 0})).client_ends().server_ends();
    EXPECT_EQ(c.broken(), "");
}

TEST(Tls, HasNotFailedByAWarning) {
    Begun c;
    c.server(record(alert, {1, 112})).option(nbd::Option::abort);
    EXPECT_EQ(c.broken(), "STARTTLS-NO-CLEAR client;");
}

TEST(Tls, IsNotGoneOnWithoutWhereItHasFailed) {
    Begun listing;
    listing.server(record(alert, {2, 40})).option(nbd::Option::list);
    EXPECT_EQ(listing.broken(), "TLS-FAILED-CLIENT client;");
    Begun aborting;
    aborting.server(record(alert, {2, 40})).option(nbd::Option::abort);
    EXPECT_EQ(aborting.broken(), "HARD-END-CLIENT client;");
}

} // namespace
} // namespace wire
