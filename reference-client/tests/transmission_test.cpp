// The transmission phase against scripted servers. All bytes are written by hand from the specification.

#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/transmission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refclient {
namespace {

using nbd::Command;
using nbd::Error;
using ::testing::HasSubstr;
using testing::hex;
using testing::to_hex;

const std::string simple = "67446698";
const std::string chunk = "668e33ef";
const std::string chunk_ext = "6e8a278c";
const std::string c1 = "0000000000000001"; // the cookies that the client uses, in turn
const std::string c2 = "0000000000000002";

Agreement compact() {
    return {nbd::HeaderStyle::compact, false, {}};
}
Agreement structured() {
    return {nbd::HeaderStyle::compact, true, {7}};
}
Agreement extended() {
    return {nbd::HeaderStyle::extended, true, {7}};
}

struct Ask {
    Command type;
    std::uint64_t offset;
    std::uint64_t length;
    std::uint16_t flags = 0;
};

/// A completion that is expected.
struct Answer {
    Error error = Error::none;
    std::string data{}; ///< of a read, hexadecimal
    std::string message{};
    std::optional<std::uint64_t> error_offset{};
    std::vector<ContextStatus> status{};
};

struct Script {
    std::string name;
    Agreement agreement;
    std::vector<Ask> asks;
    std::string server;            ///< hexadecimal
    std::vector<Answer> answers{}; ///< in the order of `asks`; fewer if there is a violation
    std::string violation{};       ///< part of its message; empty if none is expected
};

std::ostream& operator<<(std::ostream& out, const Script& script) {
    return out << script.name;
}

class TransmissionScripts : public ::testing::TestWithParam<Script> {};

void compare(const Completion& completion, const Answer& answer, nbd::Bytes data) {
    EXPECT_EQ(completion.error, answer.error);
    EXPECT_EQ(completion.message, answer.message);
    EXPECT_EQ(completion.error_offset, answer.error_offset);
    EXPECT_EQ(completion.status, answer.status);
    if (answer.error == Error::none) {
        EXPECT_EQ(to_hex(data), to_hex(hex(answer.data)));
    }
}

TEST_P(TransmissionScripts, GoAsTheSpecificationWants) {
    const Script& script = GetParam();
    const nbd::Buffer stream = hex(script.server);
    for (const testing::Fragmentation& fragmentation : testing::fragmentations()) {
        SCOPED_TRACE(fragmentation.name);
        Transmission transmission(script.agreement, {});
        std::vector<nbd::Buffer> memory(script.asks.size());
        std::vector<Cookie> cookies;
        nbd::Buffer out;
        for (std::size_t i = 0; i < script.asks.size(); ++i) {
            const Ask& ask = script.asks[i];
            Operation operation = Operation::range(ask.type, ask.offset, ask.length, ask.flags);
            if (ask.type == Command::read || ask.type == Command::write) {
                memory[i].assign(ask.length, 0xee);
                operation.into = ask.type == Command::read ? std::span(memory[i]) : std::span<std::uint8_t>();
                operation.data = ask.type == Command::write ? nbd::Bytes(memory[i]) : nbd::Bytes();
            }
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
        for (std::size_t i = 0; i < script.answers.size(); ++i) {
            SCOPED_TRACE(i);
            const std::optional<Completion> completion = transmission.take(cookies[i]);
            ASSERT_TRUE(completion);
            compare(*completion, script.answers[i],
                    script.asks[i].type == Command::read ? nbd::Bytes(memory[i]) : nbd::Bytes());
        }
    }
}

const Ask read4{Command::read, 0x100, 4};
const Ask status4k{Command::block_status, 0x1000, 0x1000};

const Script tolerated[] = {
    {"a simple read", compact(), {read4}, simple + "00000000" + c1 + "01020304", {{.data = "01020304"}}},
    {"simple replies out of order",
     compact(),
     {read4, {Command::flush, 0, 0}},
     simple + "00000000" + c2 + simple + "00000000" + c1 + "01020304",
     {{.data = "01020304"}, {}}},
    {"no data after a simple error",
     compact(),
     {read4, {Command::flush, 0, 0}},
     simple + "00000005" + c1 + simple + "00000000" + c2,
     {{.error = Error::io}, {}}},
    {"an unknown error counts as NBD_EINVAL",
     compact(),
     {{Command::write, 0, 3}},
     simple + "0000007b" + c1,
     {{.error = Error::inval}}},
    {"one chunk of data",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "0000000c 0000000000000100 01020304",
     {{.data = "01020304"}}},
    {"data and a hole in reverse, then nothing more",
     structured(),
     {read4},
     chunk + "0000 0002" + c1 + "0000000c 0000000000000102 00000002" + chunk + "0000 0001" + c1 +
         "0000000a 0000000000000100 0102" + chunk + "0001 0000" + c1 + "00000000",
     {{.data = "01020000"}}},
    {"chunks of two reads mixed",
     structured(),
     {read4, read4},
     chunk + "0000 0001" + c1 + "0000000a 0000000000000100 0102" + chunk + "0000 0001" + c2 +
         "0000000a 0000000000000102 0708" + chunk + "0001 0001" + c1 + "0000000a 0000000000000102 0304" +
         chunk + "0001 0001" + c2 + "0000000a 0000000000000100 0506",
     {{.data = "01020304"}, {.data = "05060708"}}},
    {"unknown reply flags are ignored",
     structured(),
     {{Command::flush, 0, 0}},
     chunk + "8001 0000" + c1 + "00000000",
     {{}}},
    {"a read of 0 bytes", structured(), {{Command::read, 0, 0}}, chunk + "0001 0000" + c1 + "00000000", {{}}},
    {"an error with a message",
     structured(),
     {read4},
     chunk + "0001 8001" + c1 + "00000008 00000005 0002 6e6f",
     {{.error = Error::io, .message = "no"}}},
    {"an error at an offset, with more data after it",
     structured(),
     {read4},
     chunk + "0000 8002" + c1 + "0000000e 00000005 0000 0000000000000102" + chunk + "0001 0001" + c1 +
         "0000000a 0000000000000100 0102",
     {{.error = Error::io, .error_offset = 0x102}}},
    {"an unknown error type",
     structured(),
     {read4},
     chunk + "0001 9000" + c1 + "00000009 00000016 0001 78 aabb",
     {{.error = Error::inval, .message = "x"}}},
    {"the first of two errors counts",
     structured(),
     {read4},
     chunk + "0000 8001" + c1 + "00000006 0000000c 0000" + chunk + "0001 8001" + c1 +
         "00000006 00000005 0000",
     {{.error = Error::nomem}}},
    {"a simple error to a read, as some servers send it",
     structured(),
     {read4, {Command::flush, 0, 0}},
     simple + "00000016" + c1 + simple + "00000000" + c2,
     {{.error = Error::inval}, {}}},
    {"a simple error to a block status",
     structured(),
     {status4k},
     simple + "00000016" + c1,
     {{.error = Error::inval}}},
    {"block status",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "00000014 00000007 00000800 00000000 00001000 00000003",
     {{.status = {{7, {{0x800, 0}, {0x1000, 3}}}}}}},
    {"block status that stops early",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "0000000c 00000007 00000200 00000023",
     {{.status = {{7, {{0x200, 0x23}}}}}}},
    {"one extent where one was asked for",
     structured(),
     {{Command::block_status, 0, 0x1000, nbd::command_flag::req_one}},
     chunk + "0001 0005" + c1 + "0000000c 00000007 00001000 00000001",
     {{.status = {{7, {{0x1000, 1}}}}}}},
    {"extended data",
     extended(),
     {read4},
     chunk_ext + "0001 0001" + c1 + "0000000000000100 000000000000000c 0000000000000100 01020304",
     {{.data = "01020304"}}},
    {"extended success",
     extended(),
     {{Command::flush, 0, 0}},
     chunk_ext + "0001 0000" + c1 + "0000000000000000 0000000000000000",
     {{}}},
    {"extended block status",
     extended(),
     {status4k},
     chunk_ext + "0001 0006" + c1 +
         "0000000000001000 0000000000000018 00000007 00000001 0000000100000000 8000000000000001",
     {{.status = {{7, {{0x100000000, 0x8000000000000001}}}}}}},
};

const Script violations[] = {
    {"no magic at all", compact(), {read4}, "00000000", {}, "0x00000000"},
    {"a chunk that nobody agreed to", compact(), {read4}, chunk, {}, "not agreed"},
    {"a compact chunk with extended headers",
     extended(),
     {read4},
     chunk + "0001 0000" + c1 + "00000000" + "000000000000000000000000",
     {},
     "0x668e33ef"},
    {"a simple reply with extended headers",
     extended(),
     {{Command::flush, 0, 0}},
     simple + "00000000" + c1 + "00000000000000000000000000000000",
     {},
     "0x67446698"},
    {"an unknown cookie", compact(), {read4}, simple + "00000000" + "0000000000000002", {}, "no request"},
    {"a cookie of the wrong byte order",
     compact(),
     {read4},
     simple + "00000000" + "0100000000000000",
     {},
     "no request"},
    {"a second reply",
     compact(),
     {{Command::flush, 0, 0}},
     simple + "00000000" + c1 + simple + "00000000" + c1,
     {{}},
     "before"},
    {"a chunk after the last one",
     structured(),
     {{Command::flush, 0, 0}},
     chunk + "0001 0000" + c1 + "00000000" + chunk + "0001 0000" + c1 + "00000000",
     {{}},
     "before"},
    {"a simple reply with data where chunks were agreed",
     structured(),
     {read4},
     simple + "00000000" + c1,
     {},
     "simple reply to NBD_CMD_READ"},
    {"a block status without status", structured(), {status4k}, simple + "00000000" + c1, {}, "0 of 1"},
    {"NONE without DONE", structured(), {read4}, chunk + "0000 0000" + c1 + "00000000", {}, "DONE"},
    {"NONE with a payload", structured(), {read4}, chunk + "0001 0000" + c1 + "00000001", {}, "must be 0"},
    {"a read that ends with nothing",
     structured(),
     {read4},
     chunk + "0001 0000" + c1 + "00000000",
     {},
     "4 bytes missing"},
    {"a read that ends half way",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "0000000a 0000000000000100 0102",
     {},
     "2 bytes missing"},
    {"data twice",
     structured(),
     {read4},
     chunk + "0000 0001" + c1 + "0000000b 0000000000000100 010203" + chunk + "0001 0001" + c1 +
         "0000000a 0000000000000102 0304",
     {},
     "overlap"},
    {"a hole over data",
     structured(),
     {read4},
     chunk + "0000 0001" + c1 + "0000000c 0000000000000100 01020304" + chunk + "0001 0002" + c1 +
         "0000000c 0000000000000103 00000001",
     {},
     "overlap"},
    {"data over an earlier error",
     structured(),
     {read4},
     chunk + "0000 8002" + c1 + "0000000e 00000005 0000 0000000000000101" + chunk + "0001 0001" + c1 +
         "0000000a 0000000000000100 0102",
     {},
     "earlier error"},
    {"data before the range",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "0000000a 00000000000000ff 0102",
     {},
     "not within"},
    {"data beyond the range",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "0000000a 0000000000000103 0102",
     {},
     "not within"},
    {"data at the largest offset",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "0000000a ffffffffffffffff 0102",
     {},
     "not within"},
    {"data that are too long",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "fffffff0",
     {},
     "4294967280"},
    {"no data in a chunk for data",
     structured(),
     {read4},
     chunk + "0001 0001" + c1 + "00000008",
     {},
     "at least 9"},
    {"a hole of 0 bytes",
     structured(),
     {read4},
     chunk + "0001 0002" + c1 + "0000000c 0000000000000100 00000000",
     {},
     "hole of 0"},
    {"a hole beyond the range",
     structured(),
     {read4},
     chunk + "0001 0002" + c1 + "0000000c 0000000000000100 00000005",
     {},
     "not within"},
    {"a hole of the wrong length",
     structured(),
     {read4},
     chunk + "0001 0002" + c1 + "0000000d",
     {},
     "must be 12"},
    {"two chunks although DF was set",
     structured(),
     {{Command::read, 0x100, 4, nbd::command_flag::df}},
     chunk + "0000 0001" + c1 + "0000000a 0000000000000100 0102" + chunk + "0001 0001" + c1 +
         "0000000a 0000000000000102 0304",
     {},
     "DF"},
    {"data to a write",
     structured(),
     {{Command::write, 0, 4}},
     chunk + "0001 0001" + c1 + "0000000c",
     {},
     "does not fit NBD_CMD_WRITE"},
    {"block status to a read",
     structured(),
     {read4},
     chunk + "0001 0005" + c1 + "0000000c",
     {},
     "does not fit NBD_CMD_READ"},
    {"an unknown type", structured(), {read4}, chunk + "0001 0063" + c1 + "00000004", {}, "unknown"},
    {"an error too short", structured(), {read4}, chunk + "0001 8001" + c1 + "00000005", {}, "at least 6"},
    {"an error too long", structured(), {read4}, chunk + "0001 8001" + c1 + "fffffff0", {}, "no error has"},
    {"a message beyond its chunk",
     structured(),
     {read4},
     chunk + "0001 8001" + c1 + "00000012 00000005 0c00 000000000000000000000000",
     {},
     "goes beyond"},
    {"a message that leaves no room for the offset",
     structured(),
     {read4},
     chunk + "0001 8002" + c1 + "0000000e 00000005 0001 0000000000000100",
     {},
     "no room"},
    {"an unknown error whose message is too long",
     structured(),
     {read4},
     chunk + "0001 9000" + c1 + "00000006 00000005 0001",
     {},
     "goes beyond"},
    {"an error of 0",
     structured(),
     {read4},
     chunk + "0001 8001" + c1 + "00000006 00000000 0000",
     {},
     "error 0"},
    {"an error outside of the request",
     structured(),
     {read4},
     chunk + "0001 8002" + c1 + "0000000e 00000005 0000 0000000000000104",
     {},
     "not within"},
    {"a status of an unknown context",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "0000000c 00000063 00001000 00000000",
     {},
     "not selected"},
    {"a context twice",
     structured(),
     {status4k},
     chunk + "0000 0005" + c1 + "0000000c 00000007 00001000 00000000" + chunk + "0001 0005" + c1 +
         "0000000c 00000007 00001000 00000000",
     {},
     "second chunk"},
    {"an extent of 0 bytes",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "0000000c 00000007 00000000 00000000",
     {},
     "extent of 0"},
    {"an extent behind the range",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "00000014 00000007 00001000 00000000 00000200 00000000",
     {},
     "behind"},
    {"two extents where one was asked for",
     structured(),
     {{Command::block_status, 0, 0x1000, nbd::command_flag::req_one}},
     chunk + "0001 0005" + c1 + "00000014 00000007 00000800 00000000 00000800 00000001",
     {},
     "REQ_ONE"},
    {"a long extent where one was asked for",
     structured(),
     {{Command::block_status, 0, 0x1000, nbd::command_flag::req_one}},
     chunk + "0001 0005" + c1 + "0000000c 00000007 00001001 00000000",
     {},
     "REQ_ONE"},
    {"a status without extents",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "00000004",
     {},
     "multiple of 8"},
    {"a status with half an extent",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "00000010",
     {},
     "multiple of 8"},
    {"a status that is too long",
     structured(),
     {status4k},
     chunk + "0001 0005" + c1 + "fffffffc",
     {},
     "too much"},
    {"a long status with compact headers",
     structured(),
     {status4k},
     chunk + "0001 0006" + c1 + "00000018",
     {},
     "does not fit"},
    {"a short status with extended headers",
     extended(),
     {status4k},
     chunk_ext + "0001 0005" + c1 + "0000000000001000 000000000000000c",
     {},
     "does not fit"},
    {"a wrong count of extents",
     extended(),
     {status4k},
     chunk_ext + "0001 0006" + c1 +
         "0000000000001000 0000000000000018 00000007 00000002 0000000000001000 0000000000000000",
     {},
     "malformed"},
    {"extents beyond all offsets",
     extended(),
     {status4k},
     chunk_ext + "0001 0006" + c1 +
         "0000000000001000 0000000000000018 00000007 00000001 ffffffffffffffff 0000000000000000",
     {},
     "largest possible"},
    {"another offset than that of the request",
     extended(),
     {read4},
     chunk_ext + "0001 0001" + c1 + "0000000000000101 000000000000000c",
     {},
     "offset 257"},
    {"a length beyond 32 bits",
     extended(),
     {read4},
     chunk_ext + "0001 0001" + c1 + "0000000000000100 000000010000000c",
     {},
     "4294967308"},
};

INSTANTIATE_TEST_SUITE_P(Tolerated, TransmissionScripts, ::testing::ValuesIn(tolerated));
INSTANTIATE_TEST_SUITE_P(Violations, TransmissionScripts, ::testing::ValuesIn(violations));

TEST(Transmission, WritesCompactRequests) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    nbd::Buffer memory(0x200);
    transmission.submit(Operation::read(0x1122334455667788, memory, nbd::command_flag::df), out);
    transmission.submit(Operation::write(0x400, memory, nbd::command_flag::fua), out);
    transmission.submit(Operation::range(Command::write_zeroes, 1, 0xffffffff, nbd::command_flag::no_hole),
                        out);
    transmission.submit(Operation::flush(), out);
    transmission.encode_disconnect(out);
    EXPECT_EQ(to_hex(out), to_hex(hex("25609513 0004 0000 0000000000000001 1122334455667788 00000200"
                                      "25609513 0001 0001 0000000000000002 0000000000000400 00000200"
                                      "25609513 0002 0006 0000000000000003 0000000000000001 ffffffff"
                                      "25609513 0000 0003 0000000000000004 0000000000000000 00000000"
                                      "25609513 0000 0002 0000000000000005 0000000000000000 00000000")));
}

TEST(Transmission, WritesExtendedRequests) {
    Transmission transmission(extended(), {});
    nbd::Buffer out;
    nbd::Buffer memory(0x200);
    transmission.submit(Operation::write(0x400, memory), out);
    transmission.submit(Operation::range(Command::trim, 0, 0x100000000), out);
    Operation query = Operation::range(Command::block_status, 0x10, 0x20);
    query.contexts = {7, 9};
    transmission.submit(query, out);
    EXPECT_EQ(to_hex(out), to_hex(hex("21e41c71 0020 0001 0000000000000001 0000000000000400 0000000000000200"
                                      "21e41c71 0000 0004 0000000000000002 0000000000000000 0000000100000000"
                                      "21e41c71 0020 0007 0000000000000003 0000000000000010 0000000000000010"
                                      "0000000000000020 00000007 00000009")));
}

TEST(Transmission, RefusesWhatAHeaderCannotSay) {
    Transmission transmission(compact(), {});
    nbd::Buffer out;
    EXPECT_THROW(transmission.submit(Operation::range(Command::trim, 0, 0x100000000), out), Failure);
    Operation mismatched = Operation::range(Command::read, 0, 512);
    EXPECT_THROW(transmission.submit(mismatched, out), Failure);
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(transmission.in_flight(), 0U);
}

TEST(Transmission, ReceivesDataInPlace) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    nbd::Buffer memory(4096);
    transmission.submit(Operation::read(0, memory), out);
    transmission.feed(hex(chunk + "0001 0001" + c1 + "00001008 0000000000000000"));
    const std::span<std::uint8_t> wanted = transmission.wanted();
    EXPECT_EQ(wanted.data(), memory.data());
    EXPECT_EQ(wanted.size(), memory.size());
    transmission.advance(4000);
    EXPECT_EQ(transmission.wanted().data(), memory.data() + 4000);
    transmission.advance(96);
    EXPECT_TRUE(transmission.has_completion());
}

TEST(Transmission, DoesNotAllocateWhatAHeaderAnnounces) {
    Transmission transmission(structured(), {});
    nbd::Buffer out;
    transmission.submit(Operation::range(Command::block_status, 0, 4096), out);
    // 4 + 8 * 2^20: as much as a server should send.
    transmission.feed(hex(chunk + "0001 0005" + c1 + "00800004"));
    ASSERT_FALSE(transmission.failure());
    EXPECT_LE(transmission.wanted().size(), 65536U);
}

TEST(Transmission, TellsWhereTheStreamBroke) {
    Transmission transmission(compact(), {});
    nbd::Buffer out;
    transmission.submit(Operation::flush(), out);
    transmission.feed(hex(simple + "00000000" + c1 + simple + "00000000" + "00000000000000aa"));
    ASSERT_TRUE(transmission.failure());
    EXPECT_THAT(transmission.failure()->what(), HasSubstr("byte 16"));
    EXPECT_THAT(transmission.failure()->what(), HasSubstr("cookie=170"));
}

TEST(Transmission, KnowsWhetherTheEndIsTooEarly) {
    nbd::Buffer out;
    Transmission idle(compact(), {});
    idle.feed_end();
    EXPECT_FALSE(idle.failure());

    Transmission waiting(compact(), {});
    waiting.submit(Operation::flush(), out);
    waiting.feed_end();
    ASSERT_TRUE(waiting.failure());
    EXPECT_EQ(waiting.failure()->kind(), FailureKind::connection);

    Transmission cut(compact(), {});
    cut.feed(hex("6744"));
    cut.feed_end();
    ASSERT_TRUE(cut.failure());
    EXPECT_THAT(cut.failure()->what(), HasSubstr("in the middle"));
}

TEST(Transmission, NoticesThatTheServerShutsDown) {
    Transmission transmission(compact(), {});
    nbd::Buffer out;
    transmission.submit(Operation::flush(), out);
    transmission.feed(hex(simple + "0000006c" + c1));
    EXPECT_TRUE(transmission.shutdown_seen());
    EXPECT_FALSE(transmission.failure());
}

TEST(Coverage, JoinsWhatTouches) {
    Coverage coverage;
    EXPECT_EQ(coverage.add(10, 10), Coverage::Added::yes);
    EXPECT_EQ(coverage.add(30, 10), Coverage::Added::yes);
    EXPECT_EQ(coverage.add(20, 10), Coverage::Added::yes);
    EXPECT_EQ(coverage.add(0, 10), Coverage::Added::yes);
    EXPECT_EQ(coverage.total(), 40U);
    EXPECT_EQ(coverage.add(39, 1), Coverage::Added::overlaps);
    EXPECT_EQ(coverage.add(0, 100), Coverage::Added::overlaps);
    EXPECT_EQ(coverage.total(), 40U);
    EXPECT_TRUE(coverage.contains(39));
    EXPECT_FALSE(coverage.contains(40));
}

TEST(Coverage, IsBounded) {
    Coverage coverage;
    for (std::uint64_t i = 0; i < Coverage::max_ranges; ++i) {
        ASSERT_EQ(coverage.add(i * 2, 1), Coverage::Added::yes);
    }
    EXPECT_EQ(coverage.add(Coverage::max_ranges * 2, 1), Coverage::Added::full);
    EXPECT_EQ(coverage.add(1, 1), Coverage::Added::yes);
}

} // namespace
} // namespace refclient
