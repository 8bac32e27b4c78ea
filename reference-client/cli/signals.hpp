#pragma once

// Signals that end a command, as something to wait for.

#include <csignal>
#include <initializer_list>

namespace refclient::cli {

/// Holds SIGINT and SIGTERM, and others that are named, back while it lives; a descriptor becomes readable
/// instead.
class Interruption {
  public:
    /// Throws Failure (local) if the system does not let it.
    explicit Interruption(std::initializer_list<int> others = {});
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    /// Readable once there was a signal.
    [[nodiscard]] int descriptor() const { return descriptor_; }

  private:
    sigset_t signals_;
    int descriptor_ = -1;
};

} // namespace refclient::cli
