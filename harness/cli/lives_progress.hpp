#pragma once

#include <chrono>
#include <cstddef>

namespace harness {

/// Shows on standard error how far a run of lives is, how fast it goes and how long it will take: a bar on a
/// terminal, otherwise a line every ten seconds.
class LivesProgress {
  public:
    /// `total` combinations; `quiet` shows nothing.
    LivesProgress(std::size_t total, bool quiet);
    ~LivesProgress();
    LivesProgress(const LivesProgress&) = delete;
    LivesProgress& operator=(const LivesProgress&) = delete;

    /// For one thread at a time.
    void show(std::size_t done);

  private:
    const std::size_t total_;
    const bool quiet_;
    const bool terminal_;
    const std::chrono::steady_clock::time_point begin_;
    std::chrono::steady_clock::time_point shown_;
};

} // namespace harness
