#pragma once

// Signals that end a command, as something to wait for.

namespace refclient::cli {

/// Holds SIGINT and SIGTERM back while it lives; a descriptor becomes readable instead.
class Interruption {
  public:
    /// Throws Failure (local) if the system does not let it.
    Interruption();
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    /// Readable once there was a signal.
    [[nodiscard]] int descriptor() const { return descriptor_; }

  private:
    int descriptor_ = -1;
};

} // namespace refclient::cli
