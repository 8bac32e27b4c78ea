#pragma once

// Block status of a range of any length, by as many requests as that takes.

#include "reference-client/connection.hpp"

#include <cstdint>
#include <functional>
#include <string_view>

namespace refclient::cli {

/// A run of bytes with one status.
struct MappedExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t status = 0;

    bool operator==(const MappedExtent&) const = default;
};

/// Joins runs that touch and have one status.
class ExtentMerger {
  public:
    explicit ExtentMerger(std::function<void(const MappedExtent&)> each)
      : each_(std::move(each)) {}
    void add(const MappedExtent& extent);
    /// Hands out what is held back.
    void finish();

  private:
    std::function<void(const MappedExtent&)> each_;
    MappedExtent held_;
};

/// Calls `each` with the runs of a range, in order, without gaps, cut to the range. The context must have
/// been selected. Throws Failure.
void map_range(Connection& connection, std::string_view context, std::uint64_t offset, std::uint64_t length,
               const std::function<void(const MappedExtent&)>& each);

} // namespace refclient::cli
