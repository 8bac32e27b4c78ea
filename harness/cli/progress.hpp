#pragma once

#include "reports/result.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace harness {

/// Shows on standard error how far a run is, how fast it goes and how long it will take: a bar on a terminal,
/// otherwise a line every ten seconds.
class Progress {
  public:
    /// `total` things of that name ("cases"); `quiet` shows nothing.
    Progress(std::size_t total, std::string things, bool quiet);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// So many are done; `more` is what else there is to say of them. For one thread at a time.
    void advance(std::size_t done, const std::string& more = "");

  private:
    [[nodiscard]] std::string describe(std::size_t done, const std::string& more) const;

    const std::size_t total_;
    const std::string things_;
    const bool quiet_;
    const bool terminal_;
    const std::chrono::steady_clock::time_point begin_;
    std::chrono::steady_clock::time_point shown_;
};

/// What progress says of the verdicts so far.
class VerdictCounts {
  public:
    /// Counts one more case; "12 passed, 1 failed, 0 warned, 3 unsupported".
    [[nodiscard]] std::string add(const reports::CaseResult& result);

  private:
    std::map<reports::Verdict, std::size_t> counts_;
};

} // namespace harness
