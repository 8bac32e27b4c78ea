#include "reference-server/catalogue.hpp"

#include "reference-server/backend/file.hpp"
#include "reference-server/resize/knob_names.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>
#include <utility>

namespace refserver {

KnobCatalogue::KnobCatalogue(DiskOptions options, std::shared_ptr<Export> own)
  : options_(std::move(options))
  , own_(std::move(own))
  , budget_(std::make_shared<MemoryBudget>(options_.memory)) {}

KnobCatalogue::~KnobCatalogue() = default;

namespace {

/// Throws std::invalid_argument if a name cannot have this on the wire.
void check_on_the_wire(const faults::Fault& fault, bool allowed) {
    if (fault.recipe.before_name) {
        throw std::invalid_argument(fmt::format(
            "{} begins before an export is named: give it to the server on its command line", fault.name));
    }
    if (!allowed) {
        throw std::invalid_argument(fmt::format("{} changes what goes over the wire, which export names can "
                                                "ask for with the option --wire-faults only",
                                                fault.name));
    }
}

} // namespace

KnobCatalogue::Disk KnobCatalogue::make(std::string_view name) {
    const KnobSettings settings = parse_knob_name(name);
    const ReplyStyle most = options_.defaults.replies.value_or(ReplyStyle::extended);
    if (settings.replies.value_or(most) > most) {
        throw std::invalid_argument("replies: this server negotiates less (its option --replies)");
    }
    if (settings.on_the_wire != nullptr) {
        check_on_the_wire(*settings.on_the_wire, options_.wire_faults);
    }
    const DiskPlan plan = plan_disk(settings, options_.defaults, options_.served.block.minimum);
    if (plan.keep && kept_ >= options_.most_kept) {
        throw std::invalid_argument(fmt::format("keep: {} disks are kept already", kept_));
    }
    ExportOptions options = options_.served;
    options.name = name;
    options.read_only = options.read_only || plan.read_only;
    std::shared_ptr<Backend> backend;
    if (plan.backend == DiskKind::file) {
        backend = FileBackend::temporary(plan.size);
    } else {
        backend = std::make_shared<SparseMemory>(plan.size, budget_);
    }
    Disk disk;
    disk.served = std::make_shared<Export>(std::move(options), std::move(backend), plan.rules);
    disk.keep = plan.keep;
    return disk;
}

Found KnobCatalogue::find(std::string_view name) {
    const bool is_default = name.empty() || name == options_.served.name;
    if (own_ && is_default) {
        return {own_, {}};
    }
    const std::string key(is_default ? std::string_view{} : name);
    const std::lock_guard lock(mutex_);
    auto found = disks_.find(key);
    if (found == disks_.end()) {
        try {
            found = disks_.emplace(key, make(key)).first;
        } catch (const std::invalid_argument& error) {
            return {nullptr, error.what()};
        } catch (const std::system_error& error) {
            return {nullptr, error.what()};
        }
        kept_ += found->second.keep ? std::size_t{1} : 0;
    }
    return {lease(*found), {}};
}

std::shared_ptr<Export> KnobCatalogue::lease(Disks::value_type& entry) {
    Disk& disk = entry.second;
    if (auto held = disk.lease.lock()) {
        return held;
    }
    if (std::exchange(disk.idle, false)) {
        idle_.erase(disk.idle_place);
    }
    // The last connection to let go of it tells so; one that was overtaken by a new one is not the last.
    std::shared_ptr<Export> fresh(disk.served.get(), [this, keeps = disk.served, name = entry.first,
                                                      number = ++disk.leases](Export* /*unused*/) mutable {
        released(name, number);
        keeps.reset();
    });
    disk.lease = fresh;
    return fresh;
}

void KnobCatalogue::released(const std::string& name, std::uint64_t number) {
    // Disks are destroyed outside of the lock.
    std::vector<Disks::node_type> dropped;
    const std::lock_guard lock(mutex_);
    const auto found = disks_.find(name);
    if (found == disks_.end() || found->second.leases != number || found->second.keep) {
        return;
    }
    idle_.push_back(&found->first);
    found->second.idle_place = std::prev(idle_.end());
    found->second.idle = true;
    // What idle disks hold must not be missing elsewhere.
    const bool scarce = budget_->left() < options_.memory / 2;
    while (idle_.size() > (scarce ? 0 : options_.most_idle)) {
        dropped.push_back(disks_.extract(*idle_.front()));
        idle_.pop_front();
    }
}

std::vector<std::shared_ptr<Export>> KnobCatalogue::list() {
    auto served = find({}).served;
    return served ? std::vector{std::move(served)} : std::vector<std::shared_ptr<Export>>{};
}

void KnobCatalogue::refresh() {
    std::vector<std::shared_ptr<Export>> files;
    if (own_) {
        files.push_back(own_);
    }
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, disk] : disks_) {
            if (disk.served->backend().is_file() && !disk.idle) {
                files.push_back(disk.served);
            }
        }
    }
    for (const auto& served : files) {
        try {
            served->refresh();
        } catch (const std::system_error& error) {
            fmt::print(stderr, "nbd-resize-server: {}\n", error.what());
        }
    }
}

std::size_t KnobCatalogue::disks() const {
    const std::lock_guard lock(mutex_);
    return disks_.size();
}

} // namespace refserver
