#pragma once

#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace harness {

/// A private temporary directory of the run, with a name short enough for sockets below it, removed with
/// everything in it by the destructor or, should that never run, by the janitor (janitor.hpp).
class Workspace {
  public:
    /// Makes the directory (mode 0700) in $TMPDIR, or in /tmp if that is unset or its path is so long that no
    /// socket would fit below. Throws std::filesystem::filesystem_error.
    Workspace();
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    /// Makes a directory for one case below path(). Its name is taken from `name`, shortened to 12 safe
    /// characters and made unique. Thread safe. Throws std::filesystem::filesystem_error.
    std::filesystem::path make_folder(std::string_view name);

    /// Removes such a directory with all in it. Thread safe; false if something could not be removed.
    bool remove_folder(const std::filesystem::path& folder);

    /// Removes the whole directory now; false if something could not be removed, which the janitor
    /// then tries again.
    bool remove();

  private:
    std::filesystem::path path_;
    std::mutex mutex_;
    std::set<std::string> names_;
};

/// Removes a directory with everything in it, also what a program made unreadable for its owner. Does
/// not follow symbolic links. True if it is gone.
bool remove_tree(const std::filesystem::path& directory) noexcept;

} // namespace harness
