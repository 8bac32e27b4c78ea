#pragma once

#include "reference-server/backend/backend.hpp"
#include "reference-server/gateway/inner.hpp"

#include <cstdint>
#include <string>

namespace refserver {

/// Changes the size of what the inner server serves, by other means than NBD. Calls are serialised.
class Resizer {
  public:
    Resizer() = default;
    Resizer(const Resizer&) = delete;
    Resizer& operator=(const Resizer&) = delete;
    virtual ~Resizer() = default;

    /// For people: "truncating disk.img".
    [[nodiscard]] virtual std::string describe() const = 0;
    /// Sizes are multiples of this, in bytes.
    [[nodiscard]] virtual std::uint32_t unit() const = 0;

    /// Ends what a process that died has left unfinished, so that the inner server serves its export again.
    /// Throws std::runtime_error with what is left to do by hand.
    virtual void repair(const Patience& patience) = 0;
    /// Looks whether this resizer belongs to what the inner server serves. Throws std::runtime_error.
    virtual void attach(const std::string& uri, const InnerFacts& facts, const Patience& patience) = 0;

    /// Changes the size while the gateway has no connection to the inner server. After a failure the size is
    /// as before, unless the message says that it is not known.
    [[nodiscard]] virtual Failure change(const SizeChange& change, const Patience& patience) = 0;
    /// Makes durable what the last change has left to be done beside a flush of the inner server.
    [[nodiscard]] virtual Failure make_durable() = 0;
};

} // namespace refserver
