#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace refserver {

/// A change of size that was begun: while it is noted, the export may be missing.
struct UnfinishedChange {
    boost::json::object settings; ///< arguments of block-export-add that make the export anew
    std::uint64_t from = 0;       ///< bytes
    std::uint64_t to = 0;
};

/// Writes the note in such a way that it is there as a whole or not at all, and stays. Throws
/// std::system_error.
void write_note(const std::string& path, const UnfinishedChange& change);
/// Nothing if there is no note. Throws std::runtime_error if there is one that cannot be read.
[[nodiscard]] std::optional<UnfinishedChange> read_note(const std::string& path);
void remove_note(const std::string& path);

} // namespace refserver
