#pragma once

#include "reference-server/export.hpp"
#include "reference-server/net/server.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace refserver {

/// Exit codes of nbd-resize-server.
namespace exit_code {
inline constexpr int success = 0;
inline constexpr int runtime_failure = 1;
inline constexpr int usage = 2;
} // namespace exit_code

/// What the command line asks for.
struct CommandLine {
    std::string file;                         ///< to be served; empty for memory
    std::optional<std::uint64_t> memory_size; ///< in bytes; without it and a file, names of knobs are served
    KnobSettings knobs;                       ///< as far as they were given
    std::string control_path;                 ///< empty for no control socket
    ExportOptions served;
    ServerOptions server;
    bool wire_faults = false;           ///< export names may ask for faults and oddities on the wire
    std::string unix_path;              ///< empty for TCP
    std::optional<std::uint16_t> port;  ///< as given; the default is up to the caller
    std::optional<std::string> address; ///< likewise
    std::string pid_file;
};

/// The parsed command line, or the exit code if the program has nothing more to do: what was wrong is on
/// standard error then, or the help or version on standard output.
struct Parsed {
    std::optional<CommandLine> command_line;
    int exit_code = exit_code::success;
};

/// Parses and checks the command line; `version` is for --version.
[[nodiscard]] Parsed parse_command_line(int argc, const char* const* argv, const std::string& version);

} // namespace refserver
