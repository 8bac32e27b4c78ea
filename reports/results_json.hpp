#pragma once

// The results of a run as a JSON file: what shards leave behind and what reports are made from.

#include "reports/result.hpp"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace reports {

/// The version of the layout that `to_json` writes and `from_json` reads.
inline constexpr int results_format = 2;

/// A results file that cannot be read or written, or shards that do not fit together. The message names the
/// file and the field.
class ResultsError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The run as JSON text, one case a line. Bytes that are not UTF-8 are replaced by U+FFFD, times are rounded
/// to microseconds, `source` is left out.
[[nodiscard]] std::string to_json(const RunResult& run);

/// The run that the text describes; its `source` is the given one, which messages call the text by.
/// Throws ResultsError for anything but complete and correct results: another format, a field that is
/// missing, unknown or of the wrong type, a verdict that does not exist, two cases with the same identifier.
[[nodiscard]] RunResult from_json(std::string_view text, const std::string& source = "results");

/// Writes `to_json(run)` to a file. Throws ResultsError.
void write_results(const std::filesystem::path& file, const RunResult& run);

/// Reads a file that `write_results` wrote; `source` is its path. Throws ResultsError.
[[nodiscard]] RunResult read_results(const std::filesystem::path& file);

/// One run out of the shards of it: cases one after the other, peers and host facts united, the earliest
/// start, the longest duration. A stale deviation remains one only if no shard has seen it. Throws
/// ResultsError if there is no shard, if two hold the same case, or if two found different versions of a
/// peer.
[[nodiscard]] RunResult merge(std::vector<RunResult> shards);

/// Makes the cases' folders, which are relative to the directory `from`, relative to the directory `to`:
/// for reports written elsewhere than the results that they are made from.
void rebase_folders(RunResult& run, const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace reports
