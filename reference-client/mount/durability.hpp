#pragma once

// What fsync may say: which changes are on stable storage, and which a broken connection may have taken with
// it.

#include <algorithm>
#include <cstdint>

namespace refclient::mount {

/// Counts changes that the server has acknowledged. A flush covers those that were acknowledged before it was
/// sent; one on a later connection says nothing about those of an earlier one, so that whatever was
/// acknowledged and not flushed when a connection broke counts as lost, and is told once to everyone who has
/// the file open.
class Durability {
  public:
    /// What somebody who has the file open has been told.
    struct Witness {
        std::uint64_t told = 0; ///< losses
    };

    /// The server has acknowledged a change that need not be on stable storage.
    void changed() { ++changes_; }
    /// To be kept when a flush is sent and given to `flushed` when it has succeeded.
    [[nodiscard]] std::uint64_t mark() const { return changes_; }
    void flushed(std::uint64_t mark) { stable_ = std::max(stable_, mark); }
    /// Everything acknowledged is on stable storage.
    [[nodiscard]] bool clean() const { return stable_ == changes_; }

    /// The connection has broken. True if changes may be lost.
    bool connection_lost() {
        if (clean()) {
            return false;
        }
        stable_ = changes_;
        ++losses_;
        told_ = false;
        return true;
    }

    /// Somebody opens the file. A loss that nobody was told of yet is his.
    [[nodiscard]] Witness open() const { return {told_ || losses_ == 0 ? losses_ : losses_ - 1}; }
    /// True once after each loss.
    [[nodiscard]] bool tell(Witness& witness) {
        if (witness.told == losses_) {
            return false;
        }
        witness.told = losses_;
        told_ = true;
        return true;
    }
    /// There was a loss that nobody was told of.
    [[nodiscard]] bool loss_untold() const { return losses_ > 0 && !told_; }

  private:
    std::uint64_t changes_ = 0;
    std::uint64_t stable_ = 0; ///< of `changes_`, those that a flush covered or that were counted as lost
    std::uint64_t losses_ = 0;
    bool told_ = true; ///< somebody knows of the last one
};

} // namespace refclient::mount
