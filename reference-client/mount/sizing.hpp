#pragma once

// How a mounted export gets longer and shorter, and how its size is learnt. Experimental: RESIZE.

#include "reference-client/mount/ranges.hpp"
#include "reference-client/resizer.hpp"

#include <optional>
#include <vector>

namespace refclient::mount {

/// Which ways of RESIZE a mount uses.
struct SizePreferences {
    std::optional<Grow> grow; ///< the only way to grow; any that works, if none
    Learn learn = Learn::notify;
    std::uint64_t credits = 16; ///< notifications of one subscription of Learn::credits
};

/// What came of making an export longer.
struct Growth {
    Range exposed;     ///< bytes that were not there before
    bool zero = false; ///< these are promised to read as zero
};

/// Changes the size of an export by whichever way its server offers. Functions throw Failure.
class Sizing {
  public:
    Sizing(nbd::Uri uri, SizePreferences preferences)
      : uri_(std::move(uri))
      , preferences_(preferences) {}

    /// To be called with every new connection: subscribes, where that is the way to learn.
    void begin(Connection& connection);

    /// The way to learn of changes on this connection; without an offer of the server there is none, unless
    /// it is to be done by connecting again.
    [[nodiscard]] Learn learning(Connection& connection) const;
    /// Asks for the size, unless a subscription tells it anyway.
    void learn(Connection& connection);

    /// The flags with which a write of this range past the end extends the export by itself, and leaves
    /// nothing between that does not read as zero; none where that cannot be had.
    [[nodiscard]] std::optional<std::uint16_t> extending_flags(const Connection& connection,
                                                               Range write) const;

    /// Makes the export at least so long; where the server grants less, that is no failure. The failure of
    /// the way that the server knows is thrown, if there is one. `allocate`: reserve the room where that can
    /// be asked for.
    Growth grow(Connection& connection, std::uint64_t size, bool allocate = false);

    /// Makes the export shorter. It may stay longer than `size`, by what the server rounds up.
    void shrink(Connection& connection, std::uint64_t size);

  private:
    [[nodiscard]] std::vector<Grow> ways() const;
    [[nodiscard]] Resizer resizer(Connection& connection, Grow way) const;

    nbd::Uri uri_;
    SizePreferences preferences_;
};

} // namespace refclient::mount
