#pragma once

#include "reports/result.hpp"

#include <chrono>
#include <cstddef>
#include <map>

namespace harness {

/// Shows on standard error how far a run is: a bar on a terminal, otherwise a line every ten seconds.
class Progress {
  public:
    /// `total` cases; `quiet` shows nothing.
    Progress(std::size_t total, bool quiet);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// A case ended. For one thread at a time.
    void advance(std::size_t done, const reports::CaseResult& result);

  private:
    void show(std::size_t done) const;

    std::size_t total_;
    bool quiet_;
    bool terminal_;
    std::chrono::steady_clock::time_point begin_;
    std::chrono::steady_clock::time_point shown_;
    std::map<reports::Verdict, std::size_t> counts_;
};

} // namespace harness
