#pragma once

// Local files, with errors as Failure.

#include "protocol/codec.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace refclient::cli {

/// An open file. Functions throw Failure (local) with the file's name and the system's reason.
class File {
  public:
    [[nodiscard]] static File standard_input();
    [[nodiscard]] static File standard_output();
    [[nodiscard]] static File open(const std::string& path);
    /// Creates or truncates a regular file, or opens what else is there for writing.
    [[nodiscard]] static File create(const std::string& path);
    File(File&& other) noexcept;
    File& operator=(File&&) = delete;
    ~File();

    /// Reads until the room is full or the file ends; the number of bytes.
    [[nodiscard]] std::size_t read(std::span<std::uint8_t> room);
    void append(nbd::Bytes bytes);
    void append(std::string_view text);

    /// In bytes; also of a block device.
    [[nodiscard]] std::uint64_t size() const;
    /// A regular file that can have holes.
    [[nodiscard]] bool is_regular() const;
    /// Sets the size of a regular file.
    void resize(std::uint64_t size);
    /// All of the bytes at `offset`; it is an error if the file ends before.
    void read_at(std::uint64_t offset, std::span<std::uint8_t> room);
    void write_at(std::uint64_t offset, nbd::Bytes bytes);
    /// Makes bytes read as zero; as a hole if the file can have one, unless `allocate`.
    void zero_at(std::uint64_t offset, std::uint64_t length, bool allocate);
    /// The first byte from `offset` that is (`data`) or is not in a hole, below `end`; `end` if there is
    /// none.
    [[nodiscard]] std::uint64_t next(std::uint64_t offset, std::uint64_t end, bool data) const;
    /// Puts everything on stable storage.
    void sync();
    /// Closes the file, which may tell of an error of an earlier write.
    void close();

  private:
    File(int descriptor, std::string name, bool owned);
    [[noreturn]] void fail(std::string_view doing) const;

    int descriptor_;
    std::string name_;
    bool owned_;
};

} // namespace refclient::cli
