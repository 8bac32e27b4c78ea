#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

namespace refserver {

/// Knows whose acknowledged writes an inner server may have lost when it died before they were flushed. A
/// flush that then succeeded on its successor would promise too much. Used under its owner's lock.
class Doubt {
  public:
    /// A write of this client's connection was acknowledged and is not known to be durable.
    void wrote(const void* client) { unflushed_[client] = ++moment_; }
    /// True if there are writes that are not known to be durable.
    [[nodiscard]] bool unflushed() const { return !unflushed_.empty(); }
    /// What a flush that is sent now covers.
    [[nodiscard]] std::uint64_t moment() const { return moment_; }
    /// A flush that was sent at this moment succeeded.
    void flushed(std::uint64_t moment) {
        std::erase_if(unflushed_, [moment](const auto& entry) { return entry.second <= moment; });
    }
    /// The inner server died.
    void lost() {
        if (!unflushed_.empty()) {
            nobody_told_ = true;
        }
        for (const auto& entry : unflushed_) {
            doubtful_.insert(entry.first);
        }
        unflushed_.clear();
    }
    /// True if a flush of this client has to fail: once for each client that has lost writes perhaps, and
    /// once for whoever flushes first, since a client may flush on another connection than it writes on.
    [[nodiscard]] bool take(const void* client) {
        const bool concerned = doubtful_.erase(client) != 0;
        const bool first = nobody_told_;
        nobody_told_ = false;
        return concerned || first;
    }

  private:
    std::uint64_t moment_ = 0;
    std::unordered_map<const void*, std::uint64_t> unflushed_;
    std::unordered_set<const void*> doubtful_;
    bool nobody_told_ = false;
};

} // namespace refserver
