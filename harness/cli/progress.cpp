#include "harness/cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <utility>

namespace harness {
namespace {

constexpr std::chrono::milliseconds terminal_interval{100};
constexpr std::chrono::milliseconds line_interval{10000};
constexpr std::size_t bar_width = 30;

} // namespace

Progress::Progress(std::size_t total, std::string things, bool quiet)
  : total_(total)
  , things_(std::move(things))
  , quiet_(quiet)
  , terminal_(isatty(STDERR_FILENO) == 1)
  , begin_(std::chrono::steady_clock::now())
  , shown_(begin_) {}

Progress::~Progress() {
    if (terminal_ && !quiet_) {
        std::fputs("\r\033[K", stderr);
    }
}

void Progress::advance(std::size_t done, const std::string& more) {
    const auto now = std::chrono::steady_clock::now();
    if (quiet_ || done == 0 ||
        (done != total_ && now - shown_ < (terminal_ ? terminal_interval : line_interval))) {
        return;
    }
    shown_ = now;
    if (!terminal_) {
        fmt::print(stderr, "{}\n", describe(done, more));
        return;
    }
    const std::size_t filled = done * bar_width / std::max<std::size_t>(total_, 1);
    fmt::print(stderr, "\r\033[K[{}{}] {}", std::string(filled, '#'), std::string(bar_width - filled, '.'),
               describe(done, more));
    std::fflush(stderr);
}

std::string Progress::describe(std::size_t done, const std::string& more) const {
    const double seconds = std::max(std::chrono::duration<double>(shown_ - begin_).count(), 0.001);
    const double rate = static_cast<double>(done) / seconds;
    return fmt::format("{}/{} {}, {:.0f} a second, {:.0f} s left{}{}", done, total_, things_, rate,
                       static_cast<double>(total_ - done) / rate, more.empty() ? "" : ": ", more);
}

std::string VerdictCounts::add(const reports::CaseResult& result) {
    using reports::Verdict;
    ++counts_[result.verdict];
    const auto count = [&](Verdict verdict) {
        const auto found = counts_.find(verdict);
        return found == counts_.end() ? 0 : found->second;
    };
    return fmt::format("{} passed, {} failed, {} warned, {} unsupported", count(Verdict::pass),
                       count(Verdict::fail) + count(Verdict::timeout) + count(Verdict::crash) +
                           count(Verdict::error),
                       count(Verdict::warn), count(Verdict::unsupported));
}

} // namespace harness
