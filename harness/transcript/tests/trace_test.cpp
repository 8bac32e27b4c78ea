#include "harness/transcript/print.hpp"
#include "harness/transcript/tests/support.hpp"
#include "harness/transcript/trace.hpp"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace wire {
namespace {

using ::testing::HasSubstr;

std::string must(std::string_view /*requirement*/) {
    return "MUST";
}

/// A client that flushes with a length, after a read of much data, and what the judge made of it at once.
Transcript flushing(const Folder& folder, std::string& found) {
    {
        TranscriptWriter writer(folder / "t", "server/client/case");
        Written talk(writer, 1);
        talk.simple({.flags = nbd::transmission_flag::send_flush});
        talk.request(nbd::Command::read, 0, 65536).done(nbd::Error::none, 65536);
        talk.request(nbd::Command::flush, 0, 512).done();
        talk.leave();
        talk.ends();
        found = list(talk.violations());
    }
    return read_transcript(folder / "t");
}

TEST(TraceTest, FindsWhatTheJudgeFoundAtOnce) {
    const Folder folder;
    std::string found;
    const Trace result = trace(flushing(folder, found));
    std::vector<Violation> again;
    for (const TraceLine& line : result.lines) {
        again.insert(again.end(), line.violations.begin(), line.violations.end());
    }
    EXPECT_EQ(found, "FLUSH-ZERO at 58\n");
    EXPECT_EQ(list(again), found);
    EXPECT_EQ(result.violations(), 1U);
    EXPECT_TRUE(result.lost.empty());
}

TEST(TraceTest, IsPrintedWithTheBytesOfWhatIsWrong) {
    const Folder folder;
    std::string found;
    const std::string text = to_text(trace(flushing(folder, found)), must, false);
    EXPECT_THAT(text, HasSubstr("1 client  request NBD_CMD_FLUSH flags=0 cookie=2 offset=0 length=512\n"));
    EXPECT_THAT(text, HasSubstr("MUST broken by the client: FLUSH-ZERO: offset 0 and length 512\n"));
    EXPECT_THAT(text, HasSubstr("      58  25 60 95 13 00 00 00 03 00 00 00 00 00 00 00 02"));
    EXPECT_THAT(text, HasSubstr("1 server  closes\n"));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_NE(to_text(trace(flushing(folder, found)), must, true).find('\x1b'), std::string::npos);
}

TEST(TraceTest, IsPrintedAsJsonLines) {
    const Folder folder;
    std::string found;
    std::istringstream lines(to_json_lines(trace(flushing(folder, found)), must));
    std::size_t violations = 0;
    std::string line;
    while (std::getline(lines, line)) {
        const auto value = boost::json::parse(line);
        EXPECT_EQ(value.at("connection").as_int64(), 1);
        for (const auto& violation : value.at("violations").as_array()) {
            ++violations;
            EXPECT_EQ(violation.at("requirement").as_string(), "FLUSH-ZERO");
            EXPECT_EQ(violation.at("by").as_string(), "client");
            EXPECT_EQ(value.at("bytes").as_string().subview(0, 8), "25609513");
        }
    }
    EXPECT_EQ(violations, 1U);
}

TEST(TraceTest, SaysWhereItCouldNotGoOn) {
    const Folder folder;
    {
        TranscriptWriter writer(folder / "t", "");
        Written talk(writer, 1);
        talk.hello().agree(nbd::Option::starttls);
    }
    const Trace result = trace(read_transcript(folder / "t"));
    ASSERT_EQ(result.lost.size(), 1U);
    EXPECT_THAT(to_text(result, must, false),
                HasSubstr("connection 1 was not judged to its end: TLS is in use"));
}

TEST(TraceTest, WhatComesAfterTheHarnessStoppedIsNotJudged) {
    const Folder folder;
    {
        TranscriptWriter writer(folder / "t", "");
        Written talk(writer, 1);
        talk.simple();
        writer.stopped();
        writer.ended(1, Side::server, End::reset);
    }
    EXPECT_EQ(trace(read_transcript(folder / "t")).violations(), 0U);
}

} // namespace
} // namespace wire
