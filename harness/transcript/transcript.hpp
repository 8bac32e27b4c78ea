#pragma once

// Transcripts: what went over the wire in a case, small enough to keep of every case. Of data that nobody
// looks into only the beginning is kept.

#include "harness/wire/side.hpp"
#include "protocol/codec.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace wire {

/// One thing that happened.
struct TranscriptRecord {
    enum class Kind : std::uint8_t {
        opened = 'o',   ///< a client has connected
        bytes = 'b',    ///< a side has sent these
        data = 'd',     ///< a side has sent these as data
        left_out = 'l', ///< a side has sent as much data, which was not kept
        ended = 'e',    ///< a side has ended its direction
        stopped = 's',  ///< the harness has begun to end the peers
    };
    Kind kind = Kind::bytes;
    std::uint32_t connection = 0;    ///< from 1; 0 for `stopped`
    std::chrono::microseconds at{0}; ///< since the beginning
    Side side = Side::client;
    nbd::Buffer bytes;
    std::uint64_t left_out = 0; ///< bytes
    End how = End::closed;

    bool operator==(const TranscriptRecord&) const = default;
};

/// A transcript as a file holds it.
struct Transcript {
    std::string title; ///< the case
    std::vector<TranscriptRecord> records;
};

/// The file is no transcript, or ends in the middle of one; what() says where and why.
class TranscriptError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Writes a transcript. Not for several threads. Failures to write make it stop, silently: a case is worth
/// more than its record.
class TranscriptWriter {
  public:
    /// Bytes of data that are kept at the beginning of each run of them.
    static constexpr std::size_t kept_data = 32;
    /// About as much is written, in bytes; what comes later is not in the transcript.
    static constexpr std::size_t longest = 16U << 20;

    using Clock = std::chrono::steady_clock;

    /// `title` is one line.
    TranscriptWriter(const std::filesystem::path& file, const std::string& title);
    ~TranscriptWriter();
    TranscriptWriter(const TranscriptWriter&) = delete;
    TranscriptWriter& operator=(const TranscriptWriter&) = delete;

    void opened(std::uint32_t connection);
    void bytes(std::uint32_t connection, Side side, nbd::Bytes bytes);
    void data(std::uint32_t connection, Side side, nbd::Bytes bytes);
    void ended(std::uint32_t connection, Side side, End how);
    void stopped();

  private:
    /// Begins a record that has so many bytes; false if there is no room any more.
    bool begin(TranscriptRecord::Kind kind, std::uint32_t connection, std::size_t bytes = 0);
    void number(std::uint64_t value);
    void put(TranscriptRecord::Kind kind, std::uint32_t connection, Side side, nbd::Bytes bytes);
    void settle(std::uint32_t connection, Side side);
    void write_out();

    /// Data that are not written yet, and how many of the run were.
    struct Run {
        std::size_t kept = 0;
        std::uint64_t left_out = 0;
    };

    std::ofstream file_;
    nbd::Buffer pending_;
    std::size_t written_ = 0;
    bool full_ = false;
    Clock::time_point begin_ = Clock::now();
    std::chrono::microseconds last_{0};
    std::map<std::pair<std::uint32_t, Side>, Run> runs_;
};

/// Reads a transcript. Throws TranscriptError.
[[nodiscard]] Transcript read_transcript(const std::filesystem::path& file);

/// True if the file begins as a transcript does.
[[nodiscard]] bool is_transcript(const std::filesystem::path& file);

} // namespace wire
