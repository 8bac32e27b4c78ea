#pragma once

// The requests of one step on the reference client.

#include "drivers/common/library.hpp"
#include "reference-client/failure.hpp"
#include "reference-client/resizer.hpp"
#include "reference-client/session.hpp"

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

namespace driver {

/// A connection of the driver protocol, and the memory that its requests use. Members are destroyed in
/// reverse, the memory last.
struct OpenSession {
    std::vector<std::vector<std::byte>> memory; ///< of batches that were given up
    refclient::Session session;
    std::optional<refclient::Resizer> resizer{}; ///< of the session's first connection
};

/// What the library's failure is in the driver protocol.
[[nodiscard]] Error to_error(const refclient::Failure& failure);

/// Calls `work` and turns the library's failures into those of a step.
template <class Work>
auto guarded(Work work) {
    try {
        return work();
    } catch (const refclient::Failure& failure) {
        throw Failure(to_error(failure));
    }
}

/// Submits all requests of a step when it is made.
class ReferenceBatch : public Batch {
  public:
    /// `memory` has the bytes to write, or takes those that are read; empty for other commands.
    ReferenceBatch(std::shared_ptr<OpenSession> open, const Transfer& step, std::vector<std::byte> memory);
    ReferenceBatch(const ReferenceBatch&) = delete;
    ReferenceBatch& operator=(const ReferenceBatch&) = delete;
    ~ReferenceBatch() override;

    std::vector<RequestError> wait() override;
    [[nodiscard]] std::span<const std::byte> data() const override { return memory_; }

  private:
    std::shared_ptr<OpenSession> open_;
    std::vector<std::byte> memory_;
    /// What became of each request when it was submitted.
    std::vector<std::variant<refclient::Ticket, Error>> requests_;
};

/// The command flags of a step as the protocol has them.
[[nodiscard]] std::uint16_t to_command_flags(const Flags& flags);

} // namespace driver
