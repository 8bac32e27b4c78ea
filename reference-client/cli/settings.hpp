#pragma once

// What the command line asks for, and the commands that carry it out.

#include "protocol/uri.hpp"
#include "reference-client/resizer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace refclient::cli {

/// What all commands share.
struct Settings {
    Options options;
    bool json = false;          ///< answer as one JSON value on one line
    bool quiet = false;         ///< no progress bar
    std::optional<Grow> grow;   ///< how to make an export longer; by any way, if none
    std::optional<Learn> learn; ///< how to learn of a new size; as suits the command, if none
    std::uint64_t credits = 16; ///< notifications of one subscription of Learn::credits

    /// The preferences for an export that a command is to resize or to watch.
    [[nodiscard]] ResizePreferences resize(Learn suits) const {
        return {grow.value_or(Grow::none), learn.value_or(suits), credits};
    }
};

struct InfoArguments {
    bool by_option = false; ///< ask by NBD_OPT_INFO, without entering the transmission phase
};

struct ReadArguments {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::string output; ///< a file; empty or "-": standard output
    bool hex = false;   ///< a hex dump, also where the output is no terminal
    bool df = false;    ///< NBD_CMD_FLAG_DF
};

struct WriteArguments {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length;
    std::string input = "-";             ///< a file; "-": standard input
    std::optional<std::uint8_t> pattern; ///< write `length` of these bytes instead
    bool fua = false;
};

/// For zero, trim and cache.
struct RangeArguments {
    nbd::Command command = nbd::Command::trim;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint16_t flags = 0; ///< `nbd::command_flag`
};

struct MapArguments {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> length; ///< to the end, if none
    std::string context{nbd::base_allocation};
    std::vector<std::string> also; ///< to be selected, too
};

struct ResizeArguments {
    std::uint64_t size = 0;
    bool zero = false;       ///< new bytes are to be zero
    std::uint16_t flags = 0; ///< `nbd::command_flag`
};

struct WatchArguments {
    double interval = 1; ///< seconds between two questions, where nothing tells of changes
};

struct CopyArguments {
    std::string source;      ///< a URI or a file
    std::string destination; ///< a URI or a file
    unsigned requests = 16;  ///< in flight
    /// Data of one, in bytes; small enough for the caches of processors.
    std::uint64_t request_size = 262144;
    bool flush = true;
    bool allocated = false; ///< no holes in the destination
};

struct MountArguments {
    std::string path;
    std::optional<int> ready_fd; ///< gets a line once the file can be used
    bool reconnect = true;
    bool hide_rest = false;
    bool allow_other = false;
};

// The commands. They print to standard output and throw Failure.

void info(const nbd::Uri& uri, const Settings& settings, const InfoArguments& arguments);
void list(const nbd::Uri& uri, const Settings& settings);
void read(const nbd::Uri& uri, const Settings& settings, const ReadArguments& arguments);
void write(const nbd::Uri& uri, const Settings& settings, const WriteArguments& arguments);
void range(const nbd::Uri& uri, const Settings& settings, const RangeArguments& arguments);
void flush(const nbd::Uri& uri, const Settings& settings);
void map(const nbd::Uri& uri, const Settings& settings, const MapArguments& arguments);
void grow(const nbd::Uri& uri, const Settings& settings, const ResizeArguments& arguments);
void shrink(const nbd::Uri& uri, const Settings& settings, const ResizeArguments& arguments);
void size(const nbd::Uri& uri, const Settings& settings);
void watch(const nbd::Uri& uri, const Settings& settings, const WatchArguments& arguments);
void copy(const Settings& settings, const CopyArguments& arguments);
/// Also throws mount::CannotMount.
void mount_file(const nbd::Uri& uri, const Settings& settings, const MountArguments& arguments);

} // namespace refclient::cli
