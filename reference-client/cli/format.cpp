#include "reference-client/cli/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace refclient::cli {

std::string human_size(std::uint64_t bytes) {
    constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        return fmt::format("{} bytes", bytes);
    }
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    const std::string number = fmt::format("{:.1f}", value);
    return fmt::format("{} {}", number.ends_with(".0") ? number.substr(0, number.size() - 2) : number,
                       units[unit]);
}

std::string human_time(std::chrono::seconds time) {
    const auto seconds = time.count();
    if (seconds >= 3600) {
        return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

void HexDump::line(std::string& out, nbd::Bytes bytes) {
    if (std::ranges::equal(bytes, last_)) {
        out += repeating_ ? "" : "*\n";
        repeating_ = true;
    } else {
        repeating_ = false;
        last_.assign(bytes.begin(), bytes.end());
        std::string hex;
        std::string text;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            hex += fmt::format("{}{:02x}", i == 0 ? "" : i == 8 ? "  " : " ", bytes[i]);
            text += bytes[i] >= 0x20 && bytes[i] < 0x7f ? static_cast<char>(bytes[i]) : '.';
        }
        out += fmt::format("{:08x}  {:<48}  |{}|\n", offset_, hex, text);
    }
    offset_ += bytes.size();
}

std::string HexDump::add(nbd::Bytes bytes) {
    rest_.insert(rest_.end(), bytes.begin(), bytes.end());
    std::string out;
    std::size_t used = 0;
    for (; rest_.size() - used >= 16; used += 16) {
        line(out, nbd::Bytes(rest_).subspan(used, 16));
    }
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(used));
    return out;
}

std::string HexDump::finish() {
    std::string out;
    if (!rest_.empty()) {
        line(out, rest_);
        rest_.clear();
    }
    return out + fmt::format("{:08x}\n", offset_);
}

} // namespace refclient::cli
