#include "harness/process/mounts.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace harness {
namespace {

namespace fs = std::filesystem;

/// The kernel writes a space in a path as \040, and likewise what else would not be one word.
std::string decoded(std::string_view word) {
    std::string path;
    for (std::size_t i = 0; i < word.size(); ++i) {
        constexpr std::size_t digits = 3;
        if (word[i] == '\\' && i + digits < word.size()) {
            path += static_cast<char>(std::stoi(std::string(word.substr(i + 1, digits)), nullptr, 8));
            i += digits;
        } else {
            path += word[i];
        }
    }
    return path;
}

/// What is mounted below a folder, the last one first.
std::vector<std::string> mounted_below(const fs::path& folder) {
    std::vector<std::string> found;
    std::ifstream table("/proc/self/mounts");
    for (std::string line; std::getline(table, line);) {
        std::istringstream words(line);
        std::string what;
        std::string where;
        words >> what >> where;
        where = decoded(where);
        if (where.starts_with(folder.string() + "/")) {
            found.push_back(where);
        }
    }
    std::ranges::reverse(found);
    return found;
}

void unmount(std::string path) {
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
        return;
    }
    std::string program = "fusermount3";
    std::string options = "-uzq";
    const std::array<char*, 4> words{program.data(), options.data(), path.data(), nullptr};
    pid_t child = -1;
    if (::posix_spawnp(&child, program.c_str(), nullptr, nullptr, words.data(), environ) == 0) {
        while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

} // namespace

bool unmount_below(const fs::path& folder) noexcept {
    try {
        for (const std::string& path : mounted_below(folder)) {
            unmount(path);
        }
        return mounted_below(folder).empty();
    } catch (const std::exception&) {
        return false;
    }
}

} // namespace harness
