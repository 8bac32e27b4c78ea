#pragma once

// Numbers and bytes for people.

#include "protocol/codec.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace refclient::cli {

/// A size in bytes with a binary unit, "1.5 MiB"; below 1024 "17 bytes".
[[nodiscard]] std::string human_size(std::uint64_t bytes);

/// "0:07", "12:30", "3:00:00".
[[nodiscard]] std::string human_time(std::chrono::seconds time);

/// Lines of 16 bytes: offset, hexadecimal, ASCII. Runs of equal lines are written as one "*", so the last
/// line is the offset of the end.
class HexDump {
  public:
    /// `offset` is that of the first byte.
    explicit HexDump(std::uint64_t offset)
      : offset_(offset) {}

    /// The lines that are complete with these bytes.
    [[nodiscard]] std::string add(nbd::Bytes bytes);
    /// What is left, and the end's offset.
    [[nodiscard]] std::string finish();

  private:
    void line(std::string& out, nbd::Bytes bytes);

    std::uint64_t offset_;
    nbd::Buffer rest_;
    nbd::Buffer last_;
    bool repeating_ = false;
};

} // namespace refclient::cli
