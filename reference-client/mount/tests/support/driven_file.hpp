#pragma once

// A file whose functions return when they are done.

#include "reference-client/mount/export_file.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace refclient::mount::testing {

/// Calls functions of a file and drives its connection until they are done. Errors are errno values.
class DrivenFile {
  public:
    explicit DrivenFile(const nbd::Uri& uri, FilePreferences preferences = {},
                        Replies replies = Replies::extended);

    [[nodiscard]] ExportFile& file() { return file_; }
    [[nodiscard]] std::vector<std::string>& log() { return log_; }

    /// The length, brought up to date.
    [[nodiscard]] std::uint64_t length();
    /// What is there; the error as a negative number if it fails.
    [[nodiscard]] std::pair<int, std::string> read(std::uint64_t offset, std::size_t length);
    /// Bytes written, or the error as a negative number.
    [[nodiscard]] std::int64_t write(std::uint64_t offset, const std::string& data, bool append = false,
                                     bool durable = false);
    [[nodiscard]] int set_length(std::uint64_t length);
    [[nodiscard]] int allocate(Allocate how, bool keep_length, std::uint64_t offset, std::uint64_t length);
    /// For one who has opened the file when this was made.
    [[nodiscard]] int flush();
    /// Where it is, or the error as a negative number.
    [[nodiscard]] std::int64_t seek(std::uint64_t offset, Seek kind);
    /// Moves bytes until the predicate holds; false if that takes too long.
    [[nodiscard]] bool drive(const std::function<bool()>& enough);

  private:
    std::vector<std::string> log_;
    ExportFile file_;
    ExportFile::Witness witness_;
};

} // namespace refclient::mount::testing
