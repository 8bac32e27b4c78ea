#include "harness/cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace harness {
namespace {

constexpr std::chrono::milliseconds terminal_interval{100};
constexpr std::chrono::seconds line_interval{10};
constexpr std::size_t bar_width = 30;

} // namespace

Progress::Progress(std::size_t total, bool quiet)
  : total_(total)
  , quiet_(quiet)
  , terminal_(isatty(STDERR_FILENO) == 1)
  , begin_(std::chrono::steady_clock::now())
  , shown_(begin_) {}

Progress::~Progress() {
    if (terminal_ && !quiet_) {
        std::fputs("\r\033[K", stderr);
    }
}

void Progress::advance(std::size_t done, const reports::CaseResult& result) {
    ++counts_[result.verdict];
    const auto now = std::chrono::steady_clock::now();
    const auto interval = terminal_ ? std::chrono::milliseconds(terminal_interval) : line_interval;
    if (!quiet_ && (done == total_ || now - shown_ >= interval)) {
        shown_ = now;
        show(done);
    }
}

void Progress::show(std::size_t done) const {
    using reports::Verdict;
    const auto count = [&](Verdict verdict) {
        const auto found = counts_.find(verdict);
        return found == counts_.end() ? 0 : found->second;
    };
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    const double left = seconds / static_cast<double>(done) * static_cast<double>(total_ - done);
    const std::string counts = fmt::format(
        "{} passed, {} failed, {} warned, {} unsupported", count(Verdict::pass),
        count(Verdict::fail) + count(Verdict::timeout) + count(Verdict::crash) + count(Verdict::error),
        count(Verdict::warn), count(Verdict::unsupported));
    if (!terminal_) {
        fmt::print(stderr, "{}/{} cases, {:.0f} s left: {}\n", done, total_, left, counts);
        return;
    }
    const std::size_t filled = done * bar_width / std::max<std::size_t>(total_, 1);
    fmt::print(stderr, "\r\033[K[{}{}] {}/{}  {:.0f} s left  {}", std::string(filled, '#'),
               std::string(bar_width - filled, '.'), done, total_, left, counts);
    std::fflush(stderr);
}

} // namespace harness
