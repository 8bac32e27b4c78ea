#pragma once

// The steps of the driver protocol as structs, and their strict reading from JSON.

#include <boost/json/fwd.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace driver {

/// The command flags of a request. Which of them a command knows is for the library to judge, so that a
/// scenario can ask for one that does not belong.
struct Flags {
    bool fua = false;
    bool df = false;
    bool no_hole = false;
    bool fast = false;
    bool req_one = false;

    bool operator==(const Flags&) const = default;
};

/// A command flag by its name in the driver protocol.
struct FlagName {
    std::string_view name;
    bool Flags::*member;
};

/// Every flag of the driver protocol.
inline constexpr std::array<FlagName, 5> flag_names{{{"fua", &Flags::fua},
                                                     {"df", &Flags::df},
                                                     {"no-hole", &Flags::no_hole},
                                                     {"fast", &Flags::fast},
                                                     {"req-one", &Flags::req_one}}};

/// Most bytes that one `read` or `write` step may move: `count * length`.
inline constexpr std::uint64_t max_step_bytes = std::uint64_t{1} << 30;
/// Most requests of one step.
inline constexpr std::uint64_t max_step_requests = std::uint64_t{1} << 20;

struct Connect {
    std::string uri;
    std::string connection;
};

struct Info {
    std::string uri;
};

struct List {
    std::string uri;
};

/// The commands that one step can submit many times.
enum class Command { read, write, zero, trim, cache };

/// `read`, `write`, `zero`, `trim` or `cache`: `count` requests, the i-th at `offset + i * stride`. The
/// reading of a step has made sure that no offset overflows and that the bounds above hold.
struct Transfer {
    Command command = Command::read;
    std::string connection;
    std::uint64_t offset = 0; ///< bytes
    std::uint64_t length = 0; ///< bytes of each request
    Flags flags;
    std::string file; ///< `into` of a read, `from` of a write
    std::uint64_t count = 1;
    std::uint64_t stride = 0; ///< bytes from one request to the next
    bool background = false;
};

struct Flush {
    std::string connection;
    Flags flags;
};

struct Map {
    std::string connection;
    std::uint64_t offset = 0; ///< bytes
    std::uint64_t length = 0; ///< bytes
    Flags flags;
};

struct Grow {
    std::string connection;
    std::uint64_t to = 0; ///< the size to reach at least, in bytes
};

struct Learn {
    std::string connection;
};

struct Disconnect {
    std::string connection;
    bool abrupt = false;
};

struct Finish {
    std::uint64_t of = 0; ///< `id` of the background step
};

using Step = std::variant<Connect, Info, List, Transfer, Flush, Map, Grow, Learn, Disconnect, Finish>;

/// Reads a step. Throws Failure, with `where` driver, for an unknown operation (ENOTSUP) and for a missing,
/// mistyped or unknown field or a value out of range (EINVAL). `id` is not looked at.
[[nodiscard]] Step parse_step(const boost::json::object& object);

} // namespace driver
