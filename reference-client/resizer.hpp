#pragma once

// Changing the size of an export and learning of changes, by the ways that a client prefers and a server
// offers. Experimental: RESIZE.

#include "reference-client/connection.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

namespace refclient {

/// How to make an export longer. There is no fallback from one way to another.
enum class Grow {
    none,
    explicit_, ///< NBD_CMD_RESIZE
    plain,     ///< a write past the end
    flagged,   ///< a write past the end with NBD_CMD_FLAG_EXTEND
};

/// How to learn that the size has changed. What the server does not offer falls back: notify and credits to
/// poll, poll to reconnect.
enum class Learn {
    none,
    reconnect, ///< a second connection, whose handshake tells the size
    poll,      ///< NBD_CMD_RESIZE with NBD_CMD_FLAG_QUERY
    notify,    ///< a subscription without limit
    credits,   ///< a subscription that allows a number of notifications, renewed when they are used up
};

/// "none", "explicit", "plain", "flagged".
[[nodiscard]] std::string_view name(Grow way);
/// "none", "reconnect", "poll", "notify", "credits".
[[nodiscard]] std::string_view name(Learn way);

struct ResizePreferences {
    Grow grow = Grow::none;
    Learn learn = Learn::none;
    std::uint64_t credits = 16; ///< notifications that one subscription of Learn::credits allows; not 0
};

/// What came of a change of the size.
struct ResizeOutcome {
    Grow way = Grow::none; ///< the way that was used; none: nothing was sent
    std::optional<Failure> error;
    std::uint64_t size = 0; ///< what the export is now held to have, in bytes
    std::optional<std::uint32_t>
        told;                   ///< the flags of the reply's size chunk (`nbd::resize_flag`), if one came
    bool promised_zero = false; ///< bytes that the change exposed are promised to read as zero (RZ-PLAIN-9)
};

/// What came of an attempt to learn.
struct LearnOutcome {
    Learn way = Learn::none; ///< the way that was used
    std::optional<Failure> error;
    std::uint64_t size = 0; ///< what the export is now held to have, in bytes
    bool news = false;      ///< the size changed, or a notification came that had not been taken here
};

/// Resizes the export of a connection, which it keeps a reference to.
class Resizer {
  public:
    /// `uri` is that of the connection, for learning by connecting again.
    Resizer(Connection& connection, nbd::Uri uri, ResizePreferences preferences);

    /// Why the preferred way to grow cannot be used; nothing if it can, as far as is known before trying.
    [[nodiscard]] std::optional<Failure> why_not_grow() const;

    /// Makes the export at least `size` bytes long, if it is not held to be so already. The server may choose
    /// another size; where it grants less, that is no error. `flags` go with the request: FUA, NO_HOLE. A way
    /// that writes begins where the export is held to end, so that data are in danger where somebody else has
    /// made it longer unnoticed.
    [[nodiscard]] ResizeOutcome grow_to(std::uint64_t size, std::uint16_t flags = 0);

    /// Makes the export shorter, whatever the preferred way to grow. Tries where only NBD_FLAG_SEND_RESIZE is
    /// known. What a server rounds up to may leave the size as it is.
    [[nodiscard]] ResizeOutcome shrink_to(std::uint64_t size, std::uint16_t flags = 0);

    /// The way that learning goes by here, with fallbacks.
    [[nodiscard]] Learn learning() const;

    /// Begins the subscription of notify and credits, so that changes from now on are told. Otherwise the
    /// first `learn` does. Of no effect with the other ways. Throws Failure.
    void begin();

    /// Learns the size. With a subscription: takes what has arrived, and where that is nothing that somebody
    /// else can have caused, waits for such a notification until the time is up.
    [[nodiscard]] LearnOutcome learn(std::chrono::milliseconds patience = std::chrono::milliseconds(0));

    /// Calls `changed` with the size and again whenever it has changed, until the descriptor becomes
    /// readable; then ends the subscription if there is one. Without a subscription it asks every `interval`.
    /// Throws Failure.
    void watch(const std::function<void(std::uint64_t size)>& changed, int until_readable,
               std::chrono::milliseconds interval);

    /// Ends the subscription, if there is one. Throws Failure.
    void end();

  private:
    [[nodiscard]] std::optional<Failure> why_not_explicit() const;
    [[nodiscard]] std::optional<Failure> why_not_plain() const;
    [[nodiscard]] std::optional<Failure> why_not_flagged() const;
    [[nodiscard]] ResizeOutcome refused(Failure why) const;
    [[nodiscard]] bool has(Fault fault) const { return connection_.options().faults.has(fault); }
    void touch(std::uint64_t offset);
    [[nodiscard]] ResizeOutcome carry_out(Operation operation, Grow way);
    [[nodiscard]] ResizeOutcome command(std::uint64_t size, std::uint16_t flags);
    [[nodiscard]] ResizeOutcome write_up_to(std::uint64_t size, std::uint16_t flags);
    [[nodiscard]] std::uint64_t to_request(std::uint64_t size) const;
    void subscribe();
    [[nodiscard]] bool take_notifications(Clock::time_point until);
    [[nodiscard]] bool learn_by_subscription(std::chrono::milliseconds patience);
    void watch_subscription(int until_readable);
    void reconnect();

    Connection& connection_;
    nbd::Uri uri_;
    ResizePreferences preferences_;
    std::uint64_t seen_foreign_ = 0; ///< of the subscription's `foreign`, what learning has taken notice of
};

} // namespace refclient
