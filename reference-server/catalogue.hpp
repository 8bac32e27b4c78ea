#pragma once

// Export names that are knobs: one server is every configuration.

#include "reference-server/backend/sparse_memory.hpp"
#include "reference-server/export.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace refserver {

/// How disks are made from names.
struct DiskOptions {
    ExportOptions served;     ///< what all of them have; the name is that of the default export
    KnobSettings defaults;    ///< for knobs that a name does not set
    bool wire_faults = false; ///< names may choose what happens to messages on the wire
    /// Disks without a connection that are kept, so that connecting again finds them.
    std::size_t most_idle = 64;
    std::size_t most_kept = 1024;                  ///< disks that ask to stay
    std::uint64_t memory = std::uint64_t{1} << 30; ///< bytes for all disks in memory together
};

/// Makes a disk for every name that sets knobs, and finds it again under the same name; one that is given is
/// the default export. Used from several threads at once. Outlives the exports that it found.
class KnobCatalogue : public ExportCatalogue {
  public:
    /// Without `own`, the default export is a disk as the defaults describe it.
    explicit KnobCatalogue(DiskOptions options, std::shared_ptr<Export> own = nullptr);
    ~KnobCatalogue() override;

    [[nodiscard]] Found find(std::string_view name) override;
    [[nodiscard]] std::vector<std::shared_ptr<Export>> list() override;

    void refresh() override;
    /// How many disks there are now.
    [[nodiscard]] std::size_t disks() const;

  private:
    struct Disk {
        std::shared_ptr<Export> served;
        std::weak_ptr<Export> lease; ///< what connections hold
        std::uint64_t leases = 0;    ///< how often one was given out
        bool keep = false;
        std::list<const std::string*>::iterator idle_place;
        bool idle = false;
    };
    using Disks = std::unordered_map<std::string, Disk>;

    [[nodiscard]] Disk make(std::string_view name);
    [[nodiscard]] std::shared_ptr<Export> lease(Disks::value_type& entry);
    void released(const std::string& name, std::uint64_t number);

    const DiskOptions options_;
    const std::shared_ptr<Export> own_;
    const std::shared_ptr<MemoryBudget> budget_;
    mutable std::mutex mutex_;
    Disks disks_;
    std::list<const std::string*> idle_; ///< names of disks without connections, the longest idle first
    std::size_t kept_ = 0;
};

} // namespace refserver
