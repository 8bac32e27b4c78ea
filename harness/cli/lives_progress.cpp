#include "harness/cli/lives_progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace harness {
namespace {

constexpr std::chrono::milliseconds terminal_interval{100};
constexpr std::chrono::milliseconds line_interval{10000};
constexpr std::size_t bar_width = 30;

} // namespace

LivesProgress::LivesProgress(std::size_t total, bool quiet)
  : total_(total)
  , quiet_(quiet)
  , terminal_(isatty(STDERR_FILENO) == 1)
  , begin_(std::chrono::steady_clock::now())
  , shown_(begin_) {}

LivesProgress::~LivesProgress() {
    if (terminal_ && !quiet_) {
        std::fputs("\r\033[K", stderr);
    }
}

void LivesProgress::show(std::size_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (quiet_ || done == 0 ||
        (done != total_ && now - shown_ < (terminal_ ? terminal_interval : line_interval))) {
        return;
    }
    shown_ = now;
    const double seconds = std::max(std::chrono::duration<double>(now - begin_).count(), 0.001);
    const double rate = static_cast<double>(done) / seconds;
    const std::string text = fmt::format("{}/{} combinations, {:.0f} a second, {:.0f} s left", done, total_,
                                         rate, static_cast<double>(total_ - done) / rate);
    if (!terminal_) {
        fmt::print(stderr, "{}\n", text);
        return;
    }
    const std::size_t filled = done * bar_width / std::max<std::size_t>(total_, 1);
    fmt::print(stderr, "\r\033[K[{}{}] {}", std::string(filled, '#'), std::string(bar_width - filled, '.'),
               text);
    std::fflush(stderr);
}

} // namespace harness
