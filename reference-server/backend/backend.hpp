#pragma once

#include "reference-server/backend/operation.hpp"

#include <cstdint>
#include <string>

namespace refserver {

/// Where the bytes of an export live. All functions may be called from several threads at once; what reads
/// see of writes that are still in progress is undefined, as with a disk.
class Backend {
  public:
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
    /// For people: "file disk.img".
    [[nodiscard]] virtual std::string describe() const = 0;

    /// Completes the operation if that can be done at once, without waiting for anything; else leaves it as
    /// it is and returns false.
    [[nodiscard]] virtual bool try_now(Operation& operation) = 0;
    /// Completes the operation, however long it takes.
    virtual void perform(Operation& operation) = 0;
};

} // namespace refserver
