#include "harness/process/launch.hpp"

#include "harness/process/errors.hpp"
#include "harness/process/fd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace harness {
namespace {

// 0, or why this file cannot be executed, as an errno value.
int executable_error(const std::filesystem::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0)
        return errno;
    if (!S_ISREG(info.st_mode))
        return EACCES;
    return ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

std::string search_path(const std::map<std::string, std::string>& env) {
    if (const auto found = env.find("PATH"); found != env.end())
        return found->second;
    const char* inherited = std::getenv("PATH");
    return inherited ? inherited : "/usr/local/bin:/usr/bin:/bin";
}

bool plain(std::string_view word) {
    constexpr std::string_view safe =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,.:/@%";
    return !word.empty() && word.find_first_not_of(safe) == std::string_view::npos;
}

} // namespace

std::string Launch::command_line() const {
    std::string text;
    for (const std::string& word : argv) {
        if (!text.empty())
            text += ' ';
        if (plain(word)) {
            text += word;
            continue;
        }
        text += '\'';
        for (const char c : word)
            text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += '\'';
    }
    return text;
}

std::string Exit::describe() const {
    if (signal == 0)
        return fmt::format("exited with {}", code);
    return fmt::format("killed by {}{}", signal_name(signal), core ? " (core dumped)" : "");
}

std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::filesystem::path find_program(const std::string& program,
                                   const std::map<std::string, std::string>& env) {
    using Reason = LaunchError::Reason;
    if (program.empty())
        throw LaunchError(Reason::not_found, "cannot start a program without a name");
    if (program.find('/') != std::string::npos) {
        const int error = executable_error(program);
        if (error == ENOENT || error == ENOTDIR)
            throw LaunchError(Reason::not_found, fmt::format("{}: no such file", program));
        if (error != 0)
            throw LaunchError(Reason::not_executable,
                              fmt::format("{}: not an executable file ({})", program, error_text(error)));
        return std::filesystem::absolute(program);
    }

    const std::string path = search_path(env);
    std::filesystem::path refused;
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        // An empty entry means the working directory.
        const std::string folder = end == begin ? "." : path.substr(begin, end - begin);
        const std::filesystem::path candidate = std::filesystem::path(folder) / program;
        const int error = executable_error(candidate);
        if (error == 0)
            return std::filesystem::absolute(candidate);
        if (error == EACCES && refused.empty() && std::filesystem::path(folder).is_absolute())
            refused = candidate;
        begin = end + 1;
    }
    if (!refused.empty())
        throw LaunchError(
            Reason::not_executable,
            fmt::format("{}: found as {}, which is not an executable file", program, refused.string()));
    throw LaunchError(Reason::not_found,
                      fmt::format("{}: not found in PATH ({}); is it installed?", program, path));
}

} // namespace harness
