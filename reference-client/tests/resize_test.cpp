// The transmission phase of the RESIZE extension. All bytes are written by hand from
// docs/resize-extension.md.

#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/transmission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

namespace refclient {
namespace {

using nbd::Command;
using nbd::Error;
using nbd::ResizeChunk;
using ::testing::HasSubstr;
using testing::hex;
using testing::to_hex;
namespace can = nbd::resize_capability;
namespace asked = nbd::command_flag;

const std::string simple = "67446698";
const std::string chunk = "668e33ef";
const std::string chunk_ext = "6e8a278c";
const std::string c1 = "0000000000000001"; // the cookies that the client uses, in turn
const std::string c2 = "0000000000000002";
const std::string c3 = "0000000000000003";

const std::string size_now = "0000 0007";  // NBD_REPLY_TYPE_RESIZE, more follows
const std::string size_done = "0001 0007"; // and NBD_REPLY_FLAG_DONE
const std::string none_done = "0001 0000";
const std::string no_length = "00000000";
const std::string length = "0000000c";
const std::string mib1 = "0000000000100000 00000000";
const std::string mib2 = "0000000000200000 00000000";
const std::string mib2_external = "0000000000200000 00000002";
const std::string mib4 = "0000000000400000 00000001";
const std::string einval = "0001 8001";
const std::string einval_payload = "00000006 00000016 0000";

nbd::InfoResize every_capability(std::uint32_t granularity = 1) {
    return {nbd::InfoType::resize, 0xff, granularity, 0, 0x40000000};
}

Agreement simple_replies(std::optional<nbd::InfoResize> info = every_capability()) {
    return {nbd::HeaderStyle::compact, false, {}, info};
}
Agreement structured(std::optional<nbd::InfoResize> info = every_capability()) {
    return {nbd::HeaderStyle::compact, true, {}, info};
}
Agreement extended() {
    return {nbd::HeaderStyle::extended, true, {}, every_capability()};
}

std::uint8_t bytes[512];

Operation extending_write(std::uint64_t offset) {
    return Operation::write(offset, bytes, asked::extend);
}

struct Answer {
    Error error = Error::none;
    std::optional<ResizeChunk> told{};
};

struct Script {
    std::string name;
    Agreement agreement;
    std::vector<Operation> asks;
    std::string server;            ///< hexadecimal
    std::vector<Answer> answers{}; ///< to the first of `asks`
    std::uint64_t size = 0x100000; ///< believed at the end; 1 MiB at the beginning
    std::string violation{};       ///< part of its message; empty if none is expected
    std::function<void(const Subscription&)> subscription{};
};

std::ostream& operator<<(std::ostream& out, const Script& script) {
    return out << script.name;
}

class ResizeScripts : public ::testing::TestWithParam<Script> {};

TEST_P(ResizeScripts, GoAsTheDraftWants) {
    const Script& script = GetParam();
    const nbd::Buffer stream = hex(script.server);
    for (const testing::Fragmentation& fragmentation : testing::fragmentations()) {
        SCOPED_TRACE(fragmentation.name);
        const auto size = std::make_shared<BelievedSize>(0x100000);
        Transmission transmission(script.agreement, {}, size);
        std::vector<Cookie> cookies;
        nbd::Buffer out;
        for (const Operation& operation : script.asks) {
            cookies.push_back(transmission.submit(operation, out));
        }
        for (const nbd::Bytes part : fragmentation.cut(stream)) {
            transmission.feed(part);
        }
        if (script.violation.empty()) {
            EXPECT_FALSE(transmission.failure()) << transmission.failure()->what();
            EXPECT_EQ(transmission.in_flight(), script.asks.size() - script.answers.size());
        } else {
            ASSERT_TRUE(transmission.failure());
            EXPECT_EQ(transmission.failure()->kind(), FailureKind::protocol);
            EXPECT_THAT(transmission.failure()->what(), HasSubstr(script.violation));
            EXPECT_TRUE(transmission.wanted().empty());
        }
        EXPECT_EQ(size->get(), script.size);
        for (std::size_t i = 0; i < script.answers.size(); ++i) {
            SCOPED_TRACE(i);
            const std::optional<Completion> completion = transmission.take(cookies[i]);
            ASSERT_TRUE(completion);
            EXPECT_EQ(completion->error, script.answers[i].error);
            EXPECT_EQ(completion->resize, script.answers[i].told);
        }
        if (script.subscription) {
            ASSERT_TRUE(transmission.subscription());
            script.subscription(*transmission.subscription());
        }
        EXPECT_FALSE(transmission.take_any());
    }
}

const Script plain_form[] = {
    {"RZ-PLAIN-5 exactly the requested size with simple replies",
     simple_replies(),
     {Operation::resize(0x200000)},
     simple + "00000000" + c1,
     {{}},
     0x200000},
    {"RZ-PLAIN-5 no chunk where the information was not sent",
     structured(std::nullopt),
     {Operation::resize(0x200000)},
     chunk + none_done + c1 + no_length,
     {{}},
     0x200000},
    {"RZ-PLAIN-5 a simple reply where the information was not sent",
     structured(std::nullopt),
     {Operation::resize(0x80000)},
     simple + "00000000" + c1,
     {{}},
     0x80000},
    {"RZ-FLAG-3 NBD_EPERM leaves the size",
     structured(std::nullopt),
     {Operation::resize(0x200000)},
     simple + "00000001" + c1,
     {{Error::perm}}},
    {"RZ-PLAIN-6 the size that the server chose",
     structured(every_capability(0x200000)),
     {Operation::resize(0x180001)},
     chunk + size_done + c1 + length + mib2,
     {{Error::none, ResizeChunk{0x200000, 0}}},
     0x200000},
    {"RZ-PLAIN-6 NONE may follow",
     structured(),
     {Operation::resize(0x400000)},
     chunk + size_now + c1 + length + mib4 + chunk + none_done + c1 + no_length,
     {{Error::none, ResizeChunk{0x400000, nbd::resize_flag::zeroed}}},
     0x400000},
    {"RZ-PLAIN-6 clamped to the largest size",
     structured(),
     {Operation::resize(0x7fffffffffffffff)},
     chunk + size_done + c1 + length + mib4,
     {{Error::none, ResizeChunk{0x400000, nbd::resize_flag::zeroed}}},
     0x400000},
    {"RZ-CHUNK-3 whatever the reply says, as somebody else may have been faster",
     structured(),
     {Operation::resize(0x200000), extending_write(0x100000)},
     chunk + size_done + c1 + length + "ffffffffffffffff 00000000" + chunk + size_done + c2 + length + mib1,
     {{Error::none, ResizeChunk{UINT64_MAX, 0}}, {Error::none, ResizeChunk{0x100000, 0}}}},
    {"RZ-PLAIN-6 an error leaves the size",
     structured(),
     {Operation::resize(0x200000)},
     chunk + "0001 8001" + c1 + "00000006 0000001c 0000",
     {{Error::nospc}}},
    {"RZ-CHUNK-1 unknown flags are ignored",
     structured(),
     {Operation::resize(0x200000)},
     chunk + size_done + c1 + length + "0000000000200000 fffffff9",
     {{Error::none, ResizeChunk{0x200000, 0xfffffff9}}},
     0x200000},
    {"RZ-CHUNK-3 the size counts before the reply has ended",
     structured(),
     {Operation::resize(0x200000)},
     chunk + size_now + c1 + length + mib2,
     {},
     0x200000},
    {"RZ-CMD-3 the request's offset with extended headers",
     extended(),
     {Operation::resize(0x200000)},
     chunk_ext + size_done + c1 + "0000000000200000 000000000000000c" + mib2,
     {{Error::none, ResizeChunk{0x200000, 0}}},
     0x200000},
    {"RZ-QUERY-2 the size",
     structured(),
     {Operation::query_size()},
     chunk + size_done + c1 + length + mib2,
     {{Error::none, ResizeChunk{0x200000, 0}}},
     0x200000},
    {"RZ-QUERY-2 any size there can be",
     structured(),
     {Operation::query_size()},
     chunk + size_done + c1 + length + "ffffffffffffffff 00000000",
     {{Error::none, ResizeChunk{UINT64_MAX, 0}}},
     UINT64_MAX},
};

const Script extending[] = {
    {"RZ-AUTO-12 at least as long as a write past the end",
     simple_replies(),
     {Operation::write(0x1fff00, bytes)},
     simple + "00000000" + c1,
     {{}},
     0x200100},
    {"RZ-AUTO-12 also of a write of zeroes, and with chunks",
     structured(std::nullopt),
     {Operation::range(Command::write_zeroes, 0x100000, 0x100000)},
     chunk + none_done + c1 + no_length,
     {{}},
     0x200000},
    {"RZ-AUTO-12 not after an error",
     simple_replies(),
     {Operation::write(0x200000, bytes)},
     simple + "0000001c" + c1,
     {{Error::nospc}}},
    {"RZ-AUTO-12 not of a write that fitted, whose export was shrunk meanwhile",
     structured(),
     {Operation::write(0xffe00, bytes), Operation::query_size()},
     chunk + size_done + c2 + length + "0000000000080000 00000000" + chunk + none_done + c1 + no_length,
     {{}, {Error::none, ResizeChunk{0x80000, 0}}},
     0x80000},
    {"RZ-AUTO-10 a request of length 0 extends nothing",
     simple_replies(),
     {Operation::range(Command::write_zeroes, 0x200000, 0)},
     simple + "00000000" + c1,
     {{}}},
    {"RZ-AUTO-5 nor do other requests",
     simple_replies(),
     {Operation::range(Command::trim, 0x200000, 512), Operation::range(Command::cache, 0x200000, 512)},
     simple + "00000000" + c1 + simple + "00000000" + c2,
     {{}, {}}},
    {"RZ-AUTO-6 a chunk with the size",
     structured(),
     {extending_write(0x1fff00)},
     chunk + size_done + c1 + length + mib4,
     {{Error::none, ResizeChunk{0x400000, nbd::resize_flag::zeroed}}},
     0x400000},
    {"RZ-AUTO-6 no chunk where nothing changed",
     structured(),
     {extending_write(0)},
     chunk + none_done + c1 + no_length,
     {{}}},
    {"RZ-AUTO-6 no chunk with simple replies, where the end is known all the same",
     simple_replies(),
     {extending_write(0x1fff00)},
     simple + "00000000" + c1,
     {{}},
     0x200100},
    {"RZ-AUTO-6 extended headers",
     extended(),
     {extending_write(0x1fff00)},
     chunk_ext + size_now + c1 + "00000000001fff00 000000000000000c" + mib4 + chunk_ext + none_done + c1 +
         "00000000001fff00 0000000000000000",
     {{Error::none, ResizeChunk{0x400000, nbd::resize_flag::zeroed}}},
     0x400000},
};

const Script subscriptions[] = {
    {"RZ-NOTE-2 the first chunk completes the request",
     structured(),
     {Operation::notify(0), Operation::flush()},
     chunk + size_now + c1 + length + mib1,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "",
     [](const Subscription& told) {
         EXPECT_TRUE(told.open);
         EXPECT_EQ(told.cookie, 1U);
         EXPECT_EQ(told.notifications, 0U);
     }},
    {"RZ-NOTE-3 each notification counts at once, between other replies",
     structured(),
     {Operation::notify(0), Operation::flush()},
     chunk + size_now + c1 + length + mib1 + chunk + size_now + c1 + length + mib2_external + chunk +
         none_done + c2 + no_length + chunk + size_now + c1 + length + "0000000000300000 00000005",
     {{Error::none, ResizeChunk{0x100000, 0}}, {}},
     0x300000,
     "",
     [](const Subscription& told) {
         EXPECT_TRUE(told.open);
         EXPECT_EQ(told.notifications, 2U);
         EXPECT_EQ(told.external, 1U);
         EXPECT_EQ(told.coalesced, 1U);
         EXPECT_EQ(told.foreign, 2U);
         EXPECT_EQ(told.latest, (ResizeChunk{0x300000, 5}));
     }},
    {"RZ-NOTE-4 changes that cancelled out",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + length + mib1 + chunk + size_now + c1 + length + "0000000000100000 00000004",
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "",
     [](const Subscription& told) { EXPECT_EQ(told.notifications, 1U); }},
    {"RZ-NOTE-5 the last chunk has DONE",
     structured(),
     {Operation::notify(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_done + c1 + length + mib2,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x200000,
     "",
     [](const Subscription& told) {
         EXPECT_FALSE(told.open);
         EXPECT_EQ(told.notifications, 1U);
         EXPECT_EQ(told.error, Error::none);
     }},
    {"RZ-NOTE-5 NONE with DONE follows",
     structured(),
     {Operation::notify(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_now + c1 + length + mib2 + chunk + none_done + c1 +
         no_length,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x200000,
     "",
     [](const Subscription& told) { EXPECT_FALSE(told.open); }},
    {"RZ-NOTE-1 refused",
     structured(),
     {Operation::notify(0), Operation::notify(0)},
     chunk + size_now + c1 + length + mib1 + chunk + einval + c2 + einval_payload,
     {{Error::none, ResizeChunk{0x100000, 0}}, {Error::inval}},
     0x100000,
     "",
     [](const Subscription& told) {
         EXPECT_TRUE(told.open);
         EXPECT_EQ(told.cookie, 1U);
     }},
    {"RZ-NOTE-8 cancelled, the last notification first",
     structured(),
     {Operation::notify(0), Operation::cancel(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_now + c1 + length + mib2 + chunk + none_done + c1 +
         no_length + chunk + none_done + c2 + no_length,
     {{Error::none, ResizeChunk{0x100000, 0}}, {}},
     0x200000,
     "",
     [](const Subscription& told) { EXPECT_FALSE(told.open); }},
    {"RZ-NOTE-8 a simple reply to the cancel",
     structured(),
     {Operation::notify(0), Operation::cancel(1)},
     chunk + size_now + c1 + length + mib1 + chunk + none_done + c1 + no_length + simple + "00000000" + c2,
     {{Error::none, ResizeChunk{0x100000, 0}}, {}},
     0x100000,
     "",
     [](const Subscription& told) { EXPECT_FALSE(told.open); }},
    {"RZ-NOTE-8 too late to cancel",
     structured(),
     {Operation::notify(1), Operation::cancel(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_done + c1 + length + mib2 + chunk + einval + c2 +
         einval_payload,
     {{Error::none, ResizeChunk{0x100000, 0}}, {Error::inval}},
     0x200000},
    {"RZ-NOTE-9 the server shuts down",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + length + mib1 + chunk + "0001 8001" + c1 + "00000006 0000006c 0000",
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "",
     [](const Subscription& told) {
         EXPECT_FALSE(told.open);
         EXPECT_EQ(told.error, Error::shutdown);
     }},
    {"RZ-NOTE-6 a credit of more than 32 bits, extended headers",
     extended(),
     {Operation::notify(0x100000001)},
     chunk_ext + size_now + c1 + "0000000000000000 000000000000000c" + mib1 + chunk_ext + size_now + c1 +
         "0000000000000000 000000000000000c" + mib2,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x200000},
};

const Script violations[] = {
    {"RZ-CHUNK-1 11 bytes",
     structured(),
     {Operation::resize(1)},
     chunk + size_done + c1 + "0000000b",
     {},
     0x100000,
     "must be 12"},
    {"RZ-CHUNK-1 13 bytes",
     structured(),
     {Operation::query_size()},
     chunk + size_done + c1 + "0000000d",
     {},
     0x100000,
     "must be 12"},
    {"RZ-CHUNK-1 nothing",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + no_length,
     {},
     0x100000,
     "must be 12"},
    {"RZ-CHUNK-1 4 GiB",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + "ffffffff",
     {},
     0x100000,
     "4294967295"},
    {"RZ-CHUNK-2 to a read",
     structured(),
     {Operation::read(0, bytes)},
     chunk + size_done + c1 + length,
     {},
     0x100000,
     "does not fit NBD_CMD_READ"},
    {"RZ-CHUNK-2 to a flush",
     structured(),
     {Operation::flush()},
     chunk + size_done + c1 + length,
     {},
     0x100000,
     "does not fit NBD_CMD_FLUSH"},
    {"RZ-CHUNK-2 RZ-AUTO-6 to a write without the flag",
     structured(),
     {Operation::write(0x100000, bytes)},
     chunk + size_done + c1 + length + mib2,
     {},
     0x100000,
     "without NBD_CMD_FLAG_EXTEND"},
    {"RZ-NOTE-8 to a cancel",
     structured(),
     {Operation::notify(0), Operation::cancel(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_done + c2 + length + mib1,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "does not fit NBD_CMD_RESIZE"},
    {"RZ-CHUNK-2 before an error",
     structured(),
     {Operation::resize(0x200000)},
     chunk + size_now + c1 + length + mib2 + chunk + einval + c1 + einval_payload,
     {},
     0x200000,
     "an error behind"},
    {"RZ-CHUNK-2 after an error",
     structured(),
     {Operation::resize(0x200000)},
     chunk + "0000 8001" + c1 + einval_payload + chunk + size_done + c1 + length + mib2,
     {},
     0x100000,
     "behind an error"},
    {"RZ-CHUNK-2 after the error that ends a subscription",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + length + mib1 + chunk + "0000 8001" + c1 + einval_payload + chunk + size_now +
         c1 + length + mib2,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "behind an error"},
    {"RZ-PLAIN-5 a chunk where the information was not sent",
     structured(std::nullopt),
     {Operation::resize(0x200000)},
     chunk + size_done + c1 + length + mib2,
     {},
     0x100000,
     "was not sent"},
    {"RZ-PLAIN-6 no chunk",
     structured(),
     {Operation::resize(0x200000)},
     chunk + none_done + c1 + no_length,
     {},
     0x100000,
     "without NBD_REPLY_TYPE_RESIZE"},
    {"RZ-PLAIN-6 a simple reply",
     structured(),
     {Operation::resize(0x200000)},
     simple + "00000000" + c1,
     {},
     0x100000,
     "without NBD_REPLY_TYPE_RESIZE"},
    {"RZ-PLAIN-6 two chunks",
     structured(),
     {Operation::resize(0x200000)},
     chunk + size_now + c1 + length + mib2 + chunk + size_done + c1 + length + mib2,
     {},
     0x200000,
     "a second size"},
    {"RZ-AUTO-6 two chunks",
     structured(),
     {extending_write(0x100000)},
     chunk + size_now + c1 + length + mib2 + chunk + size_done + c1 + length + mib2,
     {},
     0x200000,
     "a second size"},
    {"RZ-QUERY-2 no chunk",
     structured(),
     {Operation::query_size()},
     chunk + none_done + c1 + no_length,
     {},
     0x100000,
     "without NBD_REPLY_TYPE_RESIZE"},
    {"RZ-QUERY-2 two chunks",
     structured(),
     {Operation::query_size()},
     chunk + size_now + c1 + length + mib1 + chunk + size_done + c1 + length + mib1,
     {},
     0x100000,
     "a second size"},
    {"RZ-QUERY-2 flags",
     structured(),
     {Operation::query_size()},
     chunk + size_done + c1 + length + mib2_external,
     {},
     0x100000,
     "did not change"},
    {"RZ-NOTE-2 DONE with the first chunk",
     structured(),
     {Operation::notify(0)},
     chunk + size_done + c1 + length + mib1,
     {},
     0x100000,
     "DONE"},
    {"RZ-NOTE-2 flags with the first chunk",
     structured(),
     {Operation::notify(0)},
     chunk + size_now + c1 + length + mib2_external,
     {},
     0x100000,
     "did not change"},
    {"RZ-NOTE-2 no first chunk",
     structured(),
     {Operation::notify(0)},
     chunk + none_done + c1 + no_length,
     {},
     0x100000,
     "without NBD_REPLY_TYPE_RESIZE"},
    {"RZ-NOTE-6 more than the credit",
     structured(),
     {Operation::notify(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_now + c1 + length + mib2 + chunk + size_done + c1 +
         length + mib4,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x200000,
     "more than the 1 that were allowed"},
    {"RZ-NOTE-5 a notification behind DONE",
     structured(),
     {Operation::notify(1)},
     chunk + size_now + c1 + length + mib1 + chunk + size_done + c1 + length + mib2 + chunk + size_now + c1 +
         length + mib4,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x200000,
     "answered before"},
    {"RZ-NOTE-8 the cancel is answered before the end",
     structured(),
     {Operation::notify(0), Operation::cancel(1)},
     chunk + size_now + c1 + length + mib1 + chunk + none_done + c2 + no_length,
     {{Error::none, ResizeChunk{0x100000, 0}}},
     0x100000,
     "before the request that cancels it"},
    {"RZ-CMD-3 another offset",
     extended(),
     {Operation::resize(0x200000)},
     chunk_ext + size_done + c1 + "0000000000000000 000000000000000c",
     {},
     0x100000,
     "offset 0"},
};

INSTANTIATE_TEST_SUITE_P(Plain, ResizeScripts, ::testing::ValuesIn(plain_form));
INSTANTIATE_TEST_SUITE_P(Extending, ResizeScripts, ::testing::ValuesIn(extending));
INSTANTIATE_TEST_SUITE_P(Subscriptions, ResizeScripts, ::testing::ValuesIn(subscriptions));
INSTANTIATE_TEST_SUITE_P(Violations, ResizeScripts, ::testing::ValuesIn(violations));

TEST(ResizeRequests, CompactHeaders) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    transmission.submit(Operation::resize(0x1122334455667788, asked::fua | asked::no_hole), out);
    transmission.submit(Operation::query_size(), out);
    transmission.submit(Operation::notify(0x10), out);
    transmission.submit(Operation::cancel(3), out);
    transmission.submit(Operation::write(0x400, bytes, asked::extend), out);
    transmission.submit(Operation::range(Command::write_zeroes, 0x400, 0x200, asked::extend), out);
    EXPECT_EQ(to_hex(out), to_hex(hex("25609513 0003 0008 0000000000000001 1122334455667788 00000000"
                                      "25609513 0080 0008 0000000000000002 0000000000000000 00000000"
                                      "25609513 0100 0008 0000000000000003 0000000000000000 00000010"
                                      "25609513 0200 0008 0000000000000004 0000000000000003 00000000"
                                      "25609513 0040 0001 0000000000000005 0000000000000400 00000200"
                                      "25609513 0040 0006 0000000000000006 0000000000000400 00000200")));
}

TEST(ResizeRequests, ExtendedHeaders) {
    Transmission transmission(extended(), {});
    nbd::Buffer out;
    transmission.submit(Operation::resize(0x200000), out);
    transmission.submit(Operation::notify(0x100000000), out);
    transmission.submit(Operation::write(0x400, bytes, asked::extend), out);
    EXPECT_EQ(to_hex(out),
              to_hex(hex("21e41c71 0000 0008 0000000000000001 0000000000200000 0000000000000000"
                         "21e41c71 0100 0008 0000000000000002 0000000000000000 0000000100000000"
                         "21e41c71 0060 0001 0000000000000003 0000000000000400 0000000000000200")));
}

TEST(ResizeRequests, ACreditThatTheHeaderCannotSay) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    EXPECT_THROW(transmission.submit(Operation::notify(0x100000000), out), Failure);
    EXPECT_TRUE(out.empty());
}

TEST(Subscription, TakesTheSameMemoryHoweverManyNotificationsCome) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    transmission.submit(Operation::notify(0), out);
    transmission.feed(hex(chunk + size_now + c1 + length + mib1));
    ASSERT_TRUE(transmission.take_any());
    const nbd::Buffer notification = hex(chunk + size_now + c1 + length + mib2_external);
    for (int i = 0; i < 100000; ++i) {
        transmission.feed(notification);
    }
    EXPECT_FALSE(transmission.has_completion());
    EXPECT_EQ(transmission.in_flight(), 0U);
    EXPECT_EQ(transmission.subscription()->notifications, 100000U);
}

TEST(Subscription, IsNoRequestThatTheServerOwesAnAnswer) {
    // RZ-NOTE-10: NBD_CMD_DISC ends it without a further chunk.
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    transmission.submit(Operation::notify(0), out);
    EXPECT_EQ(transmission.in_flight(), 1U);
    transmission.feed(hex(chunk + size_now + c1 + length + mib1));
    EXPECT_EQ(transmission.in_flight(), 0U);
    EXPECT_FALSE(transmission.is_in_flight(1));
    EXPECT_EQ(transmission.subscriptions(), 1U);
    transmission.feed_end();
    EXPECT_FALSE(transmission.failure());
}

TEST(NotificationRate, AllowsABurstAndTheRate) {
    const Clock::time_point start{};
    NotificationRate rate(10);
    rate.start(start);
    EXPECT_TRUE(rate.allows(10, start));
    EXPECT_FALSE(rate.allows(1, start));
    NotificationRate steady(10);
    steady.start(start);
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(steady.allows(1, start + i * std::chrono::milliseconds(100)));
    }
    NotificationRate flooded(10);
    flooded.start(start);
    int borne = 0;
    while (flooded.allows(1, start + borne * std::chrono::milliseconds(50))) {
        ++borne;
    }
    // Twice the rate: half of it is on top of what the burst allows.
    EXPECT_NEAR(borne, 20, 2);
}

TEST(NotificationRate, CountsTimeInWhichNothingWasReceived) {
    const Clock::time_point start{};
    NotificationRate rate(10);
    rate.start(start);
    EXPECT_TRUE(rate.allows(1009, start + std::chrono::seconds(100)));
    // But it does not pile up.
    EXPECT_FALSE(rate.allows(100, start + std::chrono::seconds(101)));
}

TEST(NotificationRate, MayHaveNoBound) {
    NotificationRate rate(0);
    EXPECT_TRUE(rate.allows(UINT64_MAX, {}));
}

} // namespace
} // namespace refclient
