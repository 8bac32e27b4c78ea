#include "harness/process/workspace.hpp"

#include "harness/process/janitor.hpp"
#include "harness/process/mounts.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <random>
#include <sys/stat.h>
#include <system_error>

namespace harness {
namespace {

namespace fs = std::filesystem;

// A socket's path has room for 107 bytes; this leaves the greater part of them to what is below.
constexpr std::size_t longest_parent = 40;

fs::path temporary_directory() {
    const char* wished = std::getenv("TMPDIR");
    if (!wished || !*wished)
        return "/tmp";
    std::error_code error;
    const fs::path path = fs::absolute(wished, error);
    return error || path.native().size() > longest_parent ? fs::path("/tmp") : path;
}

std::string random_name() {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    constexpr int length = 8;
    std::random_device random;
    std::uniform_int_distribution<std::size_t> any(0, letters.size() - 1);
    std::string name = "nbdi-";
    for (int i = 0; i < length; ++i)
        name += letters[any(random)];
    return name;
}

// The standard library's recursive removal fails at the first directory it may not read or write.
void make_accessible(const fs::path& directory) {
    std::error_code ignored;
    fs::permissions(directory, fs::perms::owner_all, fs::perm_options::add, ignored);
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored))
        if (entry.symlink_status(ignored).type() == fs::file_type::directory)
            make_accessible(entry.path());
}

} // namespace

bool remove_tree(const fs::path& directory) noexcept {
    try {
        // A mount would keep its folder, and what is in it need not be the run's.
        if (!unmount_below(directory))
            return false;
        std::error_code error;
        fs::remove_all(directory, error);
        if (error) {
            make_accessible(directory);
            fs::remove_all(directory, error);
        }
        return !fs::exists(fs::symlink_status(directory, error));
    } catch (const std::exception&) {
        return false;
    }
}

Workspace::Workspace() {
    const fs::path parent = temporary_directory();
    while (true) {
        path_ = parent / random_name();
        // Before it exists: there must be no moment at which a directory is left that nobody knows.
        Janitor::watch(path_);
        if (::mkdir(path_.c_str(), 0700) == 0)
            return;
        const int error = errno;
        Janitor::unwatch(path_);
        if (error != EEXIST)
            throw fs::filesystem_error("cannot make a temporary directory (see TMPDIR)", path_,
                                       std::error_code(error, std::generic_category()));
    }
}

Workspace::~Workspace() {
    remove();
}

bool Workspace::remove() {
    const bool gone = remove_tree(path_);
    if (gone)
        Janitor::unwatch(path_);
    return gone;
}

fs::path Workspace::make_folder(std::string_view name) {
    constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    constexpr std::size_t longest = 12;
    std::string wished;
    for (const char c : name.substr(0, longest))
        wished += safe.find(c) == std::string_view::npos ? '-' : c;
    if (wished.empty())
        wished = "case";
    std::string unique = wished;
    {
        const std::lock_guard guard(mutex_);
        for (int number = 2; !names_.insert(unique).second; ++number)
            unique = fmt::format("{}.{}", wished, number);
    }
    fs::path folder = path_ / unique;
    fs::create_directory(folder);
    return folder;
}

bool Workspace::remove_folder(const fs::path& folder) {
    if (folder.parent_path() != path_)
        throw std::invalid_argument(
            fmt::format("{} is no folder of the workspace {}", folder.string(), path_.string()));
    if (!remove_tree(folder))
        return false;
    const std::lock_guard guard(mutex_);
    names_.erase(folder.filename().string());
    return true;
}

} // namespace harness
