#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace harness {

/// How to start a child process. Whatever is not asked for, the child does not get: its descriptors are
/// 0, 1, 2 and, with a listening socket, 3; its signals are at their defaults; it leaves no core file.
struct Launch {
    std::vector<std::string> argv;          ///< argv[0] is looked up in PATH unless it contains a slash
    std::map<std::string, std::string> env; ///< added to the inherited environment, replacing equal names
    std::filesystem::path cwd;              ///< working directory; empty: inherited
    std::filesystem::path log;              ///< its output is appended here; empty: it is discarded
    std::uint64_t log_limit = std::uint64_t{1} << 20; ///< bytes; what comes later is read and dropped
    int listen_fd = -1; ///< a listening socket, passed as descriptor 3 (systemd socket activation)
    bool capture_stdout =
        false; ///< standard output goes to Process::read_line() and the like, not to the log
    std::uint64_t output_limit = std::uint64_t{64} << 20; ///< bytes of captured output not yet taken
    bool pipe_stdin = false;                              ///< Process::write_line(); otherwise /dev/null
    std::optional<std::uint64_t> address_space;           ///< RLIMIT_AS in bytes; not for sanitizer builds
    std::optional<std::uint64_t> file_size;               ///< RLIMIT_FSIZE in bytes

    /// The command as a person would type it, for messages.
    [[nodiscard]] std::string command_line() const;
};

/// How a process ended.
struct Exit {
    int code = 0;      ///< exit status, 0…255; 0 if a signal ended it
    int signal = 0;    ///< the signal that ended it; 0 if none did
    bool core = false; ///< it dumped core

    [[nodiscard]] bool success() const { return code == 0 && signal == 0; }
    /// "exited with 1", "killed by SIGSEGV".
    [[nodiscard]] std::string describe() const;
    bool operator==(const Exit&) const = default;
};

/// "SIGTERM"; "signal 35" for those without a name.
std::string signal_name(int signal);

/// Where `program` is, as a path that does not depend on the working directory: itself if it contains a
/// slash, else the first executable file of that name in PATH (that of `env` if it has one, else the
/// inherited). Throws LaunchError.
std::filesystem::path find_program(const std::string& program,
                                   const std::map<std::string, std::string>& env = {});

} // namespace harness
