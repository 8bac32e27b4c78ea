#pragma once

// The reference server as every configuration of RESIZE at once.

#include "protocol/uri.hpp"
#include "reference-client/tests/support/process.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace refclient::testing {

/// A server whose exports are named by their knobs, and its control socket.
class KnobServer {
  public:
    KnobServer();

    [[nodiscard]] nbd::Uri uri(const std::string& knobs) const;
    /// Resizes the backing storage, in bytes; false if the server refuses.
    [[nodiscard]] bool resize(const std::string& knobs, std::uint64_t size) const;
    /// The size in bytes, as the server has it.
    [[nodiscard]] std::uint64_t size(const std::string& knobs) const;

  private:
    TemporaryFolder folder_;
    Process process_;
};

} // namespace refclient::testing
