#pragma once

// Transcripts put into messages, judged again.

#include "harness/transcript/transcript.hpp"
#include "harness/wire/judge.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace wire {

/// A message, or another thing that happened.
struct TraceLine {
    std::chrono::microseconds at{0}; ///< since the beginning
    std::uint32_t connection = 0;
    Side from = Side::client;
    std::uint64_t offset = 0; ///< of a message: where it begins among the bytes of that side
    std::string text;
    nbd::Buffer bytes; ///< the beginning of the message, as far as it was kept
    std::vector<Violation> violations;
};

/// A whole transcript.
struct Trace {
    std::vector<TraceLine> lines;
    /// Why connections were not judged to their ends, by connection.
    std::vector<std::pair<std::uint32_t, std::string>> lost;

    /// How many violations there are.
    [[nodiscard]] std::size_t violations() const;
};

/// Reads the messages out of a transcript and judges them.
[[nodiscard]] Trace trace(const Transcript& transcript);

} // namespace wire
