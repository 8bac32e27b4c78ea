#pragma once

#include "reference-server/backend/operation.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace refserver {

/// A change of size that a backend is to carry out, in bytes.
struct SizeChange {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    bool leave_old_bytes = false; ///< what is exposed need not be zero, and on purpose is not
    bool allocate = false;        ///< what is exposed is not sparse
};

/// Why something could not be done; no error if it was.
struct Failure {
    nbd::Error error = nbd::Error::none;
    std::string message; ///< for people, where there is an error
};

/// Where the bytes of an export live. All functions may be called from several threads at once; what reads
/// see of writes that are still in progress is undefined, as with a disk.
class Backend {
  public:
    using Clock = std::chrono::steady_clock;

    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    /// The size at this moment, in bytes. Throws std::system_error.
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// True if the bytes cannot be written at all.
    [[nodiscard]] virtual bool read_only() const = 0;
    /// True if reads point into the backend's own memory and need no buffer.
    [[nodiscard]] virtual bool lends_memory() const = 0;
    /// True if changing the size may take its time, and if others may change it as well.
    [[nodiscard]] virtual bool is_file() const { return false; }
    /// For people: "file disk.img".
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Completes the operation if that can be done at once, without waiting for anything; else leaves it as
    /// it is and returns false.
    [[nodiscard]] virtual bool try_now(Operation& operation) = 0;
    /// Completes the operation, however long it takes.
    virtual void perform(Operation& operation) = 0;
    /// Begins the operation and calls `done` once it is complete, from any thread and possibly at once; or
    /// leaves it as it is and returns false, so that somebody has to wait in `perform`.
    [[nodiscard]] virtual bool start(Operation& /*operation*/, const std::function<void()>& /*done*/) {
        return false;
    }

    /// Makes the backend longer or shorter; after a failure it is as long as before. Calls are serialised by
    /// the caller, but operations may be in progress: those that the change touches fail, or take part in it.
    [[nodiscard]] virtual Failure set_size(const SizeChange& change);
    /// Makes what was completed durable, its size included.
    [[nodiscard]] virtual Failure make_durable() { return {}; }

    /// Looks whether somebody else has changed the size, however long that takes; `size()` tells it then.
    virtual void look_again() {}
    /// The program ends: what is in progress at `deadline` fails, rather than being waited for.
    virtual void shut_down(Clock::time_point /*deadline*/) {}
};

} // namespace refserver
