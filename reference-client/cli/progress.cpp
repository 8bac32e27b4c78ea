#include "reference-client/cli/progress.hpp"

#include "reference-client/cli/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace refclient::cli {
namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);

unsigned terminal_width() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

} // namespace

std::string progress_line(std::uint64_t done, std::uint64_t total, std::chrono::duration<double> elapsed,
                          unsigned width) {
    const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    const double rate = elapsed.count() > 0 ? static_cast<double>(done) / elapsed.count() : 0;
    std::string text =
        fmt::format(" {:3.0f}% {:>10}/s", share * 100, human_size(static_cast<std::uint64_t>(rate)));
    if (rate > 0 && done < total) {
        const auto left = static_cast<std::int64_t>(static_cast<double>(total - done) / rate);
        text += fmt::format(" ETA {:>6}", human_time(std::chrono::seconds(left)));
    }
    constexpr std::size_t frame = 2;
    if (width < text.size() + frame + 4) {
        return text.substr(0, width);
    }
    const std::size_t bar = std::min<std::size_t>(width - text.size() - frame, 50);
    const auto full = static_cast<std::size_t>(share * static_cast<double>(bar));
    return fmt::format("[{}{}]{}", std::string(full, '#'), std::string(bar - full, '.'), text);
}

Progress::Progress(std::uint64_t total, bool enabled)
  : total_(total)
  , enabled_(enabled && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    clear();
}

void Progress::update(std::uint64_t done) {
    const auto now = Clock::now();
    if (!enabled_ || now < next_) {
        return;
    }
    next_ = now + redraw_interval;
    drawn_ = true;
    fmt::print(stderr, "\r\x1b[K{}", progress_line(done, total_, now - start_, terminal_width() - 1));
    std::fflush(stderr);
}

void Progress::clear() {
    if (drawn_) {
        fmt::print(stderr, "\r\x1b[K");
        drawn_ = false;
    }
}

} // namespace refclient::cli
