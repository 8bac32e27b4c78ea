#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace refserver {

/// What is told of one change of the size, or of several that were merged (NBD_REPLY_TYPE_RESIZE).
struct SizeNote {
    std::uint64_t size = 0; ///< bytes
    bool zeroed = false;    ///< bytes were exposed, and they are zero
    bool external = false;  ///< caused by none of the connection's requests
    bool coalesced = false;

    /// Takes a later change into this one (RZ-NOTE-4).
    void merge(const SizeNote& later) {
        *this = {later.size, zeroed && later.zeroed, external && later.external, true};
    }
    bool operator==(const SizeNote&) const = default;
};

/// What an export has to tell one connection: never more than one note. Filled from any thread, emptied in
/// the connection's.
class Subscription {
  public:
    /// `owner` is the connection's identity, as in `Operation::cause`. `wake` is called, possibly from
    /// another thread, when there is something to take; it must not call back.
    Subscription(const void* owner, std::function<void()> wake)
      : owner_(owner)
      , wake_(std::move(wake)) {}
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    /// Tells of a change that `cause` made.
    void note(const void* cause, SizeNote change) {
        change.external = cause != owner_;
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            first = !pending_.has_value();
            if (first) {
                pending_ = change;
            } else {
                pending_->merge(change);
            }
        }
        // Who caused it looks by itself once its request is complete.
        if (first && cause != owner_ && wake_) {
            wake_();
        }
    }

    [[nodiscard]] std::optional<SizeNote> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(pending_, std::nullopt);
    }

  private:
    const void* const owner_;
    const std::function<void()> wake_;
    std::mutex mutex_;
    std::optional<SizeNote> pending_;
};

} // namespace refserver
