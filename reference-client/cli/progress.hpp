#pragma once

// A progress bar on a terminal.

#include <chrono>
#include <cstdint>
#include <string>

namespace refclient::cli {

/// One line on standard error, redrawn in place: bar, share, rate, time left. Draws nothing where standard
/// error is no terminal, or if told not to.
class Progress {
  public:
    Progress(std::uint64_t total, bool enabled);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// So many bytes of the total are done. Draws a few times a second at most.
    void update(std::uint64_t done);
    /// Takes the line away.
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    std::uint64_t total_;
    bool enabled_;
    bool drawn_ = false;
    Clock::time_point start_ = Clock::now();
    Clock::time_point next_ = start_;
};

/// The line of a progress bar, `width` columns at most.
[[nodiscard]] std::string progress_line(std::uint64_t done, std::uint64_t total,
                                        std::chrono::duration<double> elapsed, unsigned width);

} // namespace refclient::cli
