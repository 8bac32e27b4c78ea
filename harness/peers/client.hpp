#pragma once

// A client under test, whatever kind of program it is: steps in, outcomes out.

#include "harness/catalogue/scenario.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace harness {

using Deadline = std::chrono::steady_clock::time_point;

/// A step as a client gets it: all numbers in bytes, all files named.
struct ClientStep {
    StepKind kind = StepKind::read;
    std::uint64_t id = 0;
    std::string connection = "a";
    std::string uri;         ///< connect, info, list; for programs every step
    std::string export_name; ///< the one in the URI
    std::uint64_t offset = 0;
    std::uint64_t length = 0; ///< of grow, the size to reach
    std::uint64_t count = 1;
    std::uint64_t stride = 0;
    std::set<std::string> flags;
    std::filesystem::path from; ///< write: the bytes to write
    std::filesystem::path into; ///< read: where to put what was read
    bool background = false;
    bool abrupt = false;
    std::uint64_t of = 0; ///< finish: the id of the step
};

/// Where an error arose, as far as the client can tell.
enum class ErrorPlace { unknown, server, local, connection, driver };

/// Why a step failed.
struct ClientError {
    std::string name; ///< "EINVAL"; "EUNKNOWN" if none was told
    ErrorPlace where = ErrorPlace::unknown;
    std::string message;

    /// "EINVAL (from the server): …"
    [[nodiscard]] std::string describe() const;
};

/// The block sizes that a server advertised, in bytes.
struct BlockSizes {
    std::uint64_t minimum = 0;
    std::uint64_t preferred = 0;
    std::uint64_t maximum = 0;
};

/// An extent of base:allocation.
struct Extent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool hole = false;
    bool zero = false;
};

/// What a successful step tells; what a client does not tell is left out.
struct ClientResult {
    std::optional<std::uint64_t> size;
    std::string way; ///< of grow and learn: by which way
    std::optional<std::set<std::string>> flags;
    std::optional<bool> structured;
    std::optional<bool> extended;
    std::optional<BlockSizes> block;
    std::set<std::string> contexts;
    std::optional<std::vector<std::string>> exports;
    std::optional<std::vector<Extent>> extents;
};

/// How a step ended.
struct ClientOutcome {
    std::optional<ClientError> error; ///< nothing: success
    ClientResult result;
};

/// The client's process ended in the middle of a step.
class ClientDied : public std::runtime_error {
  public:
    ClientDied(const std::string& how, bool crashed)
      : std::runtime_error(how)
      , crashed_(crashed) {}
    /// True if a signal ended it.
    [[nodiscard]] bool crashed() const { return crashed_; }

  private:
    bool crashed_;
};

/// A client in a case.
class Client {
  public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    virtual ~Client() = default;

    /// Carries out a step. Throws TimedOut if it has not ended by the deadline, ClientDied if the client's
    /// process ended by a signal or without an answer, std::runtime_error if it broke the rules of its kind.
    virtual ClientOutcome perform(const ClientStep& step, Deadline deadline) = 0;

    /// Ends the client properly: closes what is open and waits for its processes. Throws like `perform`.
    virtual void finish(Deadline deadline) = 0;
};

} // namespace harness
