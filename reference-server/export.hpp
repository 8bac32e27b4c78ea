#pragma once

// What is served: exports, and the catalogue that finds them by name.

#include "protocol/numbers.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace refserver {

class Backend;

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

/// A backend as it is served. Shared by all connections to it.
class Export {
  public:
    Export(ExportOptions options, std::shared_ptr<Backend> backend);

    [[nodiscard]] const ExportOptions& options() const { return options_; }
    [[nodiscard]] const std::string& name() const { return options_.name; }
    [[nodiscard]] Backend& backend() const { return *backend_; }
    [[nodiscard]] bool read_only() const { return read_only_; }
    /// The size at this moment, in bytes: whole minimum blocks. Throws std::system_error.
    [[nodiscard]] std::uint64_t size() const;
    /// The transmission flags, without those that depend on what a connection negotiated.
    [[nodiscard]] std::uint16_t transmission_flags() const;

  private:
    const ExportOptions options_;
    const std::shared_ptr<Backend> backend_;
    const bool read_only_;
};

/// Finds exports by name. Used from several threads at once.
class ExportCatalogue {
  public:
    ExportCatalogue() = default;
    ExportCatalogue(const ExportCatalogue&) = delete;
    ExportCatalogue& operator=(const ExportCatalogue&) = delete;
    virtual ~ExportCatalogue() = default;

    /// The export that a client means by `name`; null if there is none. The empty name means the default
    /// export.
    [[nodiscard]] virtual std::shared_ptr<Export> find(std::string_view name) = 0;
    /// What NBD_OPT_LIST tells.
    [[nodiscard]] virtual std::vector<std::shared_ptr<Export>> list() = 0;
};

/// One export, which is also the default export.
class SingleExport : public ExportCatalogue {
  public:
    explicit SingleExport(std::shared_ptr<Export> the_export);

    [[nodiscard]] std::shared_ptr<Export> find(std::string_view name) override;
    [[nodiscard]] std::vector<std::shared_ptr<Export>> list() override;

  private:
    const std::shared_ptr<Export> export_;
};

} // namespace refserver
