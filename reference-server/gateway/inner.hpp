#pragma once

// The server behind the gateway, as libnbd sees it.

#include "reference-server/backend/operation.hpp"
#include "reference-server/export.hpp"

#include <libnbd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace refserver {

struct CloseHandle {
    void operator()(nbd_handle* handle) const { ::nbd_close(handle); }
};
using InnerHandle = std::unique_ptr<nbd_handle, CloseHandle>;

/// The inner server could not be reached, or did not do what was asked of it.
class InnerError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// What the handshake of the inner server tells. Sizes in bytes.
struct InnerFacts {
    std::uint64_t size = 0;
    bool read_only = false;
    Features can; ///< `multi_conn` and `df` as the server says, `block_status` if it has base:allocation
    BlockSizes block;

    /// What the inner server has less of than `promised`, for people; nothing if it has all of it.
    [[nodiscard]] std::optional<std::string> missing(const InnerFacts& promised) const;
};

/// How long something may take, and what is asked meanwhile.
struct Patience {
    std::chrono::steady_clock::time_point deadline;
    /// Called several times a second; once it returns false, waiting ends.
    std::function<bool()> go_on = [] { return true; };
};

/// Connects to the export of the URI, or to the one of another name on the same server, with base:allocation.
/// Throws InnerError.
[[nodiscard]] InnerHandle connect_inner(const std::string& uri, const Patience& patience,
                                        const std::optional<std::string>& export_name = {});
[[nodiscard]] InnerFacts facts_of(nbd_handle* handle);
/// Takes leave with NBD_CMD_DISC and waits until the inner server has noted it, but not long.
void leave_inner(nbd_handle* handle);

/// What else an export was made with, as far as a client can see it.
struct InnerDetails {
    std::string name;
    std::string description;
    std::vector<std::string> contexts; ///< those that begin with "qemu:"
};
/// Throws InnerError.
[[nodiscard]] InnerDetails details_of(const std::string& uri, const Patience& patience);

/// Makes sure that [from, to) of an export that nobody else uses reads as zeroes; what is told to be zero
/// already is left alone, unless it has to become `allocated`. Throws InnerError.
void make_zero(nbd_handle* handle, std::uint64_t from, std::uint64_t to, bool allocated,
               const Patience& patience);

/// Lengths of requests without payload: what every server takes, and a multiple of every minimum block size.
inline constexpr std::uint64_t longest_request = std::uint64_t{1} << 30;
/// Appends what the inner server tells of base:allocation to `extents`, which live until the answer is there.
[[nodiscard]] nbd_extent_callback extents_into(std::vector<Extent>& extents);

/// The last error of libnbd in this thread, for people.
[[nodiscard]] std::string inner_error();

} // namespace refserver
