#pragma once

// What is served: exports, and the catalogue that finds them by name.

#include "protocol/numbers.hpp"
#include "protocol/resize.hpp"
#include "reference-server/resize/knobs.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refserver {

class Backend;
class Subscription;
struct Operation;
struct SizeChange;

/// Size constraints of an export, in bytes (Size constraints).
struct BlockSizes {
    std::uint32_t minimum = 1;
    std::uint32_t preferred = nbd::default_preferred_block;
    std::uint32_t maximum = nbd::default_max_payload;
};

/// What an export offers beyond reading and writing.
struct Features {
    bool flush = true;
    bool fua = true;
    bool rotational = false;
    bool trim = true;
    bool write_zeroes = true;
    bool fast_zero = true;
    bool df = true;
    bool multi_conn = true;
    bool cache = true;
    bool block_status = true;
};

/// How a backend is served.
struct ExportOptions {
    std::string name;
    std::string description; ///< for people; empty for none
    bool read_only = false;
    BlockSizes block;
    bool advertise_block_size = true; ///< with NBD_INFO_BLOCK_SIZE
    bool require_block_size = false;  ///< only let in clients that asked for it
    Features features;
};

/// A backend as it is served. Shared by all connections to it, which all see one size; used from several
/// threads at once.
class Export {
  public:
    /// Throws std::system_error if the size of the backend cannot be told.
    Export(ExportOptions options, std::shared_ptr<Backend> backend, ResizeRules rules = {});

    [[nodiscard]] const ExportOptions& options() const { return options_; }
    [[nodiscard]] const std::string& name() const { return options_.name; }
    [[nodiscard]] const ResizeRules& rules() const { return rules_; }
    [[nodiscard]] bool has(Fault fault) const { return rules_.has(fault); }
    /// The size that the export began with, in bytes.
    [[nodiscard]] std::uint64_t first_size() const { return first_size_; }
    [[nodiscard]] Backend& backend() const { return *backend_; }
    [[nodiscard]] bool read_only() const { return read_only_; }
    /// The size at this moment, in bytes: whole minimum blocks.
    [[nodiscard]] std::uint64_t size() const { return size_.load(std::memory_order_acquire); }
    /// The transmission flags, without those that depend on what a connection negotiated.
    [[nodiscard]] std::uint16_t transmission_flags() const;

    /// True if NBD_CMD_RESIZE may change the size.
    [[nodiscard]] bool grows_on_request() const;
    /// True if writes past the end, or those of them that say so, extend the export.
    [[nodiscard]] bool grows_by_writes() const;
    /// NBD_INFO_RESIZE for a connection with such replies that is told this size; nothing if the export does
    /// not advertise it (RZ-INFO-2).
    [[nodiscard]] std::optional<nbd::InfoResize> resize_info(ReplyStyle style, std::uint64_t told_size) const;

    /// Completes the operation if that can be done at once; else leaves it as it is and returns false.
    [[nodiscard]] bool try_now(Operation& operation);
    /// Completes the operation, however long it takes.
    void perform(Operation& operation);
    /// Begins the operation and calls `done` once it is complete, from any thread; or leaves it as it is and
    /// returns false, if somebody has to wait in `perform`.
    [[nodiscard]] bool start(Operation& operation, const std::function<void()>& done);

    /// Changes the size behind the back of the clients. Returns what is wrong, if that cannot be done.
    [[nodiscard]] std::optional<std::string> resize_from_outside(std::uint64_t size);
    /// Takes note of a size that somebody else gave the backend. Does not wait for a change that is under
    /// way. Throws std::system_error.
    void refresh();

    /// From now on the subscription is told of changes; returns the size that they start from.
    [[nodiscard]] std::uint64_t subscribe(Subscription& subscription);
    /// Nothing happens if it is not subscribed.
    void unsubscribe(Subscription& subscription);

  private:
    [[nodiscard]] std::uint64_t served_part(std::uint64_t backend_size) const;
    [[nodiscard]] bool may_change_size(const Operation& operation) const;
    [[nodiscard]] SizeChange change_to(std::uint64_t size) const;
    void resize(Operation& operation);
    void extend(Operation& operation);
    void take_over_backend_size();
    void grow_to_limit(const void* cause); ///< only where a fault asks for it
    void scribble();                       ///< likewise
    void publish(std::uint64_t size, bool exposed_zeroes, const void* cause);
    [[nodiscard]] bool promises_zeroes() const;

    const ExportOptions options_;
    const std::shared_ptr<Backend> backend_;
    const ResizeRules rules_;
    const bool read_only_;
    std::atomic<std::uint64_t> size_;
    const std::uint64_t first_size_;
    /// Held for the whole of a change of size, however long that takes.
    std::mutex change_mutex_;
    /// Held while the size and the subscriptions are touched, which is short.
    std::mutex state_mutex_;
    std::vector<Subscription*> subscriptions_;
};

/// An export, or why there is none.
struct Found {
    std::shared_ptr<Export> served; ///< null if there is none
    std::string why_not;            ///< for people
};

/// Finds exports by name. Used from several threads at once.
class ExportCatalogue {
  public:
    ExportCatalogue() = default;
    ExportCatalogue(const ExportCatalogue&) = delete;
    ExportCatalogue& operator=(const ExportCatalogue&) = delete;
    virtual ~ExportCatalogue() = default;

    /// The export that a client means by `name`. The empty name means the default export. The export goes on
    /// while the pointer is held.
    [[nodiscard]] virtual Found find(std::string_view name) = 0;
    /// What NBD_OPT_LIST tells.
    [[nodiscard]] virtual std::vector<std::shared_ptr<Export>> list() = 0;
    /// Notices what others did to files that are in use. Called several times a second while there are
    /// connections; does not wait for anything.
    virtual void refresh() {}
    /// The server ends: what is in progress at `deadline` is not waited for.
    virtual void shut_down(std::chrono::steady_clock::time_point /*deadline*/) {}
};

/// One export, which is also the default export.
class SingleExport : public ExportCatalogue {
  public:
    explicit SingleExport(std::shared_ptr<Export> the_export);

    [[nodiscard]] Found find(std::string_view name) override;
    [[nodiscard]] std::vector<std::shared_ptr<Export>> list() override;

  private:
    const std::shared_ptr<Export> export_;
};

} // namespace refserver
