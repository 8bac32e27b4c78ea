#pragma once

#include "reference-server/backend/backend.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace refserver {

/// A regular file or a block device.
class FileBackend : public Backend {
  public:
    /// Opens the file. Throws std::system_error with a message that names it.
    FileBackend(std::string path, bool read_only);
    /// A file of `size` bytes without a name, in TMPDIR or /tmp, that is gone with the backend. Throws
    /// std::system_error.
    [[nodiscard]] static std::shared_ptr<FileBackend> temporary(std::uint64_t size);
    /// Creates the file with `size` bytes, or grows it to them. Throws std::system_error, and
    /// std::runtime_error where the file is longer already.
    static void prepare(const std::string& path, std::uint64_t size);
    ~FileBackend() override;

    [[nodiscard]] std::uint64_t size() const override;
    [[nodiscard]] bool read_only() const override { return read_only_; }
    [[nodiscard]] bool lends_memory() const override { return false; }
    [[nodiscard]] std::string describe() const override;
    [[nodiscard]] bool try_now(Operation& operation) override;
    void perform(Operation& operation) override;
    [[nodiscard]] bool is_file() const override { return true; }
    [[nodiscard]] Failure set_size(const SizeChange& change) override;
    [[nodiscard]] Failure make_durable() override;

  private:
    FileBackend(int descriptor, std::string path, bool read_only);

    enum class Attempt { done, failed, unsupported };

    [[nodiscard]] bool read_from_cache(Operation& operation);
    [[nodiscard]] bool read_as_hole(Operation& operation) const;
    void read(Operation& operation, std::uint64_t already);
    void write(Operation& operation);
    void trim(Operation& operation);
    void zero(Operation& operation);
    void write_zeroes(Operation& operation);
    void status(Operation& operation) const;
    void sync(Operation& operation);
    [[nodiscard]] Failure allocate_exposed(const SizeChange& change) const;
    [[nodiscard]] Failure fill_with_junk(const SizeChange& change) const;
    [[nodiscard]] bool truncate(std::uint64_t size) const;

    /// False, and the operation failed, if the range goes beyond what the file has become.
    [[nodiscard]] bool still_within(Operation& operation) const;
    Attempt allocate(Operation& operation, int mode, std::atomic<bool>& supported, const char* what);

    const std::string path_;
    const bool read_only_;
    int descriptor_ = -1;
    bool block_device_ = false;
    /// The file system has no disk behind it, so nothing ever waits.
    bool in_memory_ = false;
    std::atomic<bool> can_read_cached_{true};
    std::atomic<bool> can_punch_{true};
    std::atomic<bool> can_zero_{true};
};

} // namespace refserver
