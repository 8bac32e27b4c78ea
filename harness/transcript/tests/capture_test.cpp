// Captures: what is written is read, and judged, as the transcript that it was made from.

#include "harness/transcript/capture.hpp"
#include "harness/transcript/tests/support.hpp"
#include "harness/transcript/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace wire {
namespace {

using Kind = TranscriptRecord::Kind;

/// Two connections, with a large read and a write, the second of which breaks a rule.
Transcript sample(const Folder& folder) {
    {
        TranscriptWriter writer(folder / "t", "");
        Written first(writer, 1);
        Written second(writer, 2);
        first.structured().request(nbd::Command::read, 0, 500'000).data(0, 500'000);
        second.simple({.flags = nbd::transmission_flag::send_trim});
        second.request(nbd::Command::write, 0, 100'000).done();
        second.request(nbd::Command::trim, 0, 0).done();
        first.leave();
        first.ends();
        second.leave();
        second.ends();
    }
    return read_transcript(folder / "t");
}

/// How many bytes each side of each connection sent.
std::map<std::pair<std::uint32_t, Side>, std::uint64_t> sizes(const Transcript& transcript) {
    std::map<std::pair<std::uint32_t, Side>, std::uint64_t> result;
    for (const TranscriptRecord& record : transcript.records) {
        if (record.kind == Kind::bytes || record.kind == Kind::data || record.kind == Kind::left_out) {
            result[{record.connection, record.side}] += record.bytes.size() + record.left_out;
        }
    }
    return result;
}

TEST(CaptureTest, IsReadAsItWasWritten) {
    const Folder folder;
    const Transcript transcript = sample(folder);
    write_pcapng(folder / "c.pcapng", transcript);
    const Capture capture = read_capture(folder / "c.pcapng", {10809});
    EXPECT_EQ(capture.without_beginning, 0U);
    EXPECT_EQ(capture.with_gaps, 0U);
    EXPECT_EQ(sizes(capture.transcript), sizes(transcript));
    const auto broken = [](const Transcript& of) {
        std::vector<Violation> all;
        for (const TraceLine& line : trace(of).lines) {
            all.insert(all.end(), line.violations.begin(), line.violations.end());
        }
        return list(all);
    };
    EXPECT_EQ(broken(capture.transcript), broken(transcript));
    EXPECT_THAT(broken(transcript), ::testing::StartsWith("REQUEST-NOT-EMPTY"));
    EXPECT_EQ(std::ranges::count(capture.transcript.records, Kind::ended, &TranscriptRecord::kind), 4);
}

TEST(CaptureTest, LooksAtTheServersPortsOnly) {
    const Folder folder;
    write_pcapng(folder / "c.pcapng", sample(folder));
    EXPECT_TRUE(read_capture(folder / "c.pcapng", {10810}).transcript.records.empty());
}

TEST(CaptureTest, AFileThatIsNoneIsRefused) {
    const Folder folder;
    std::ofstream(folder / "c") << "this is no capture";
    EXPECT_THROW((void)read_capture(folder / "c", {10809}), TranscriptError);
    EXPECT_THROW((void)read_capture(folder / "none", {10809}), TranscriptError);
    EXPECT_THROW(write_pcapng(folder / "no/folder", {}), TranscriptError);
}

TEST(CaptureTest, MakesUpOnlySoMuch) {
    const Folder folder;
    Transcript transcript;
    TranscriptRecord record;
    record.kind = Kind::left_out;
    record.connection = 1;
    record.left_out = std::uint64_t{1} << 40;
    transcript.records.push_back(record);
    EXPECT_THROW(write_pcapng(folder / "c.pcapng", transcript), TranscriptError);
}

} // namespace
} // namespace wire
