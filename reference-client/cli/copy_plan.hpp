#pragma once

// How a copy is cut into requests.

#include "reference-client/cli/extents.hpp"
#include "reference-client/cli/files.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

namespace refclient::cli {

/// Bytes to copy, or known to be zero.
struct Piece {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool zero = false;

    bool operator==(const Piece&) const = default;
};

/// The runs of a range that read as zero, in order, without overlaps. Lengths in bytes.
using ZeroRuns = std::function<std::vector<Piece>(std::uint64_t offset, std::uint64_t length)>;

/// The holes of a file.
[[nodiscard]] ZeroRuns extents_of(const File& file);
/// What base:allocation says of an export; without that context, or where the server fails to tell, nothing.
[[nodiscard]] ZeroRuns extents_of(Connection& connection);

/// In bytes.
struct PlanSizes {
    std::uint64_t total = 0;  ///< of what is to be copied
    std::uint64_t block = 1;  ///< pieces begin and end at multiples of this, or at the end
    std::uint64_t data = 1;   ///< the most data in one piece; a multiple of `block`
    std::uint64_t zeroes = 1; ///< the most zeroes in one piece; a multiple of `block`
};

/// The pieces of a copy in order; asks for the runs of zeroes as it goes on.
class CopyPlan {
  public:
    CopyPlan(PlanSizes sizes, ZeroRuns zero_runs)
      : sizes_(sizes)
      , zero_runs_(std::move(zero_runs)) {}

    /// The next piece; none at the end.
    [[nodiscard]] std::optional<Piece> next();

  private:
    void look_ahead();
    void cut(std::uint64_t from, std::uint64_t to, bool zero);

    PlanSizes sizes_;
    ZeroRuns zero_runs_;
    std::uint64_t seen_ = 0;
    std::deque<Piece> pieces_;
};

} // namespace refclient::cli
