#pragma once

#include <filesystem>

namespace harness {

/// Unmounts whatever is mounted below a folder, also where it is in use or what was behind it has died: what
/// a program leaves that mounted an export and was killed. Users other than root do it by fusermount3. False
/// if something is left.
bool unmount_below(const std::filesystem::path& folder) noexcept;

} // namespace harness
