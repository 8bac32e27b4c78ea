#include "reference-server/sizes.hpp"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <limits>
#include <stdexcept>

namespace refserver {
namespace {

constexpr std::string_view prefixes = "kmgtpe";

std::string lower(std::string_view text) {
    std::string copy(text);
    for (char& c : copy) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return copy;
}

} // namespace

std::uint64_t parse_size(std::string_view text) {
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error == std::errc::result_out_of_range) {
        throw std::invalid_argument(fmt::format("the size '{}' is too large", text));
    }
    if (error != std::errc{}) {
        throw std::invalid_argument(fmt::format(
            "'{}' is not a size; write bytes, or a number with K, M, G, T, P or E: 1048576, 64K, 1GiB",
            text));
    }
    const std::string unit = lower(text.substr(static_cast<std::size_t>(end - text.data())));
    if (unit.empty() || unit == "b") {
        return size;
    }
    const auto exponent = prefixes.find(unit.front());
    const std::string_view rest = std::string_view(unit).substr(1);
    if (exponent == std::string_view::npos || (!rest.empty() && rest != "ib" && rest != "b")) {
        throw std::invalid_argument(
            fmt::format("'{}' has an unknown unit; use K, M, G, T, P or E, as in 64K or 1GiB", text));
    }
    const std::uint64_t factor = rest == "b" ? 1000 : 1024;
    for (std::size_t i = 0; i <= exponent; ++i) {
        if (size > std::numeric_limits<std::uint64_t>::max() / factor) {
            throw std::invalid_argument(fmt::format("the size '{}' is too large", text));
        }
        size *= factor;
    }
    return size;
}

std::string size_text(std::uint64_t size) {
    constexpr std::uint64_t step = 1024;
    std::size_t exponent = 0;
    while (size >= step && size % step == 0 && exponent < prefixes.size()) {
        size /= step;
        ++exponent;
    }
    if (exponent == 0) {
        return fmt::format("{} {}", size, size == 1 ? "byte" : "bytes");
    }
    return fmt::format("{} {}iB", size, static_cast<char>(std::toupper(prefixes[exponent - 1])));
}

} // namespace refserver
