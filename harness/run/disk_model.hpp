#pragma once

#include "harness/catalogue/scenario.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace harness {

/// What an export must hold after the steps so far: zeroes, patterns, or, where a request had no certain end,
/// nobody knows what. All offsets and lengths are bytes.
class DiskModel {
  public:
    explicit DiskModel(const ExportSetup& setup);

    void write(std::uint64_t offset, std::uint64_t length, std::uint64_t seed);
    void zero(std::uint64_t offset, std::uint64_t length);
    /// From now on these bytes may be anything.
    void forget(std::uint64_t offset, std::uint64_t length);

    /// Compares the `length` bytes at `at` of a file with the disk from `offset` on. For people: where they
    /// differ first and how; nothing if they do not.
    [[nodiscard]] std::optional<std::string> compare(const std::filesystem::path& file, std::uint64_t at,
                                                     std::uint64_t offset, std::uint64_t length) const;

    /// True if every byte of the range must read as zero.
    [[nodiscard]] bool surely_zero(std::uint64_t offset, std::uint64_t length) const;
    /// True if some byte of the range is known not to be zero.
    [[nodiscard]] bool has_data(std::uint64_t offset, std::uint64_t length) const;

  private:
    enum class Kind { zero, pattern, unknown };
    struct Segment {
        std::uint64_t end;
        Kind kind;
        std::uint64_t seed;
    };
    void set(std::uint64_t offset, std::uint64_t length, Segment segment);
    /// Calls use(offset, length, segment) for the parts of a range.
    template <class Use>
    void for_each(std::uint64_t offset, std::uint64_t length, const Use& use) const;

    std::map<std::uint64_t, Segment> segments_; ///< by beginning; without gaps below the size, none overlap
};

/// True if the file is there and all its bytes are zero.
[[nodiscard]] bool is_zeroes(const std::filesystem::path& file);

} // namespace harness
