#pragma once

// Captures of network traffic, such as tcpdump makes them: read as transcripts, and written from them.

#include "harness/transcript/transcript.hpp"

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace wire {

/// A capture as a transcript, and what is missing from it.
struct Capture {
    Transcript transcript;
    /// Connections whose beginning is not in the capture, so that they cannot be judged.
    std::size_t without_beginning = 0;
    /// Connections of which packets are missing.
    std::size_t with_gaps = 0;
};

/// Reads a pcap or pcapng file: all TCP connections to servers on these ports. Throws TranscriptError.
[[nodiscard]] Capture read_capture(const std::filesystem::path& file, const std::set<std::uint16_t>& ports);

/// Writes the connections of a transcript as TCP connections to port 10809, in pcapng. Data that were left
/// out are zeroes. Throws TranscriptError, also where these would be very many.
void write_pcapng(const std::filesystem::path& file, const Transcript& transcript);

} // namespace wire
