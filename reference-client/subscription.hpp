#pragma once

// What NBD_CMD_RESIZE with NBD_CMD_FLAG_NOTIFY has brought, and how often it may bring something.

#include "protocol/resize.hpp"
#include "reference-client/operation.hpp"
#include "reference-client/socket.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace refclient {

/// A subscription to changes of the size. It takes the same memory however many notifications come: only the
/// newest is kept, of the others their number.
struct Subscription {
    Cookie cookie = 0;
    std::uint64_t credit = 0;        ///< notifications that were allowed; 0: any number
    bool open = true;                ///< it has not ended
    nbd::ResizeChunk latest;         ///< what was told last
    std::uint64_t notifications = 0; ///< the size at the beginning is none of them
    std::uint64_t external = 0;      ///< of these: those that no request of this connection caused
    std::uint64_t coalesced = 0;     ///< of these: those that stand for several changes
    std::uint64_t foreign = 0;       ///< of these: external or coalesced, so that another may have caused it
    nbd::Error error = nbd::Error::none; ///< what it was ended with by the server
    std::string message;                 ///< the server's words with the error
};

/// How many notifications a client bears (RZ-NOTE-7): so many at once, and so many more in each second that
/// passes, also in those in which nothing was received because the client was busy.
class NotificationRate {
  public:
    /// 0 for no bound.
    explicit NotificationRate(std::uint32_t per_second)
      : per_second_(per_second)
      , left_(per_second) {}

    /// So many more have come by `now`. False if these are too many.
    [[nodiscard]] bool allows(std::uint64_t count, Clock::time_point now) {
        if (per_second_ == 0) {
            return true;
        }
        const std::chrono::duration<double> passed = now - since_;
        since_ = now;
        left_ = std::min<double>(left_, per_second_) + std::max(passed.count(), 0.0) * per_second_;
        left_ -= static_cast<double>(count);
        return left_ >= 0;
    }

    /// The time of the subscription starts now.
    void start(Clock::time_point now) { since_ = now; }

  private:
    std::uint32_t per_second_;
    double left_;
    Clock::time_point since_{};
};

} // namespace refclient
