#pragma once

// What two peers send once they have agreed to TLS: whether it is TLS, as far as the headers of its records
// tell.

#include "harness/wire/events.hpp"

#include <cstdint>
#include <optional>

namespace wire {

/// Follows the records of both sides (RFC 5246, 6.2.1; TLS support, Client-side requirements). Keeps a few
/// bytes.
class Tls {
  public:
    /// What is wrong with the bytes of a side.
    struct Found {
        StrayEvent::Kind kind = StrayEvent::Kind::not_over_tls;
        std::size_t used = 0;   ///< how many of the bytes it takes to see it
        std::size_t length = 0; ///< how many bytes there are of what is wrong, the last of them included
        std::uint8_t first = 0; ///< the first of these
    };

    /// Bytes that a side sent; the first thing that is wrong with them, after which the rest is for another
    /// call.
    [[nodiscard]] std::optional<Found> feed(Side from, nbd::Bytes bytes);

  private:
    struct Records {
        nbd::Buffer begun;      ///< the header of a record, and what is looked at behind it
        std::uint64_t left = 0; ///< bytes of the record that have not come yet
        bool first = true;      ///< no record is complete
        bool lost = false;      ///< what comes is no TLS
    };

    [[nodiscard]] std::optional<StrayEvent::Kind> record(Side from, Records& in);
    [[nodiscard]] std::optional<StrayEvent::Kind> no_record(Side from, Records& in) const;

    Records sides_[2];
    bool failed_ = false; ///< a side has told in clear that the handshake has failed
};

} // namespace wire
