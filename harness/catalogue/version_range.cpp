#include "harness/catalogue/version_range.hpp"

#include "harness/catalogue/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace harness {
namespace {

/// The numbers of "7.2.22"; what is no number ends it.
std::vector<unsigned> numbers(std::string_view version) {
    std::vector<unsigned> result;
    while (!version.empty()) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), value);
        if (error != std::errc{}) {
            break;
        }
        result.push_back(value);
        version.remove_prefix(static_cast<std::size_t>(end - version.data()));
        if (!version.starts_with('.')) {
            break;
        }
        version.remove_prefix(1);
    }
    return result;
}

/// -1, 0 or 1; missing numbers count as 0, so that 3.24 equals 3.24.0.
int compare(std::vector<unsigned> a, std::vector<unsigned> b) {
    const std::size_t size = std::max(a.size(), b.size());
    a.resize(size);
    b.resize(size);
    return a < b ? -1 : a == b ? 0 : 1;
}

std::string_view trim(std::string_view text) {
    while (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    return text;
}

} // namespace

VersionRange VersionRange::parse(const std::string& text) {
    VersionRange range;
    range.text_ = text;
    if (trim(text) == "all") {
        return range;
    }
    std::string_view rest = text;
    for (std::size_t comma = 0; comma != std::string_view::npos;) {
        comma = rest.find(',');
        const std::string_view part = trim(rest.substr(0, comma));
        Bound bound;
        std::string_view version;
        for (const std::string_view relation : {"<=", ">=", "<", ">", "="}) {
            if (part.starts_with(relation)) {
                bound.relation = relation;
                version = trim(part.substr(relation.size()));
                break;
            }
        }
        bound.version = numbers(version);
        // Unlike a program's answer, a bound is nothing but numbers: whatever else is there may be for want
        // of a comma.
        if (version.find_first_not_of("0123456789.") != std::string_view::npos ||
            std::ranges::ssize(bound.version) != std::ranges::count(version, '.') + 1) {
            throw std::invalid_argument(fmt::format(
                "'{}' is no range of versions; write 'all' or bounds such as '>= 2.12, < 9.0'", text));
        }
        range.bounds_.push_back(std::move(bound));
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return range;
}

bool VersionRange::contains(const std::string& version) const {
    const std::vector<unsigned> found = numbers(version);
    return std::ranges::all_of(bounds_, [&](const Bound& bound) {
        const int order = compare(found, bound.version);
        return bound.relation == "<"    ? order < 0
               : bound.relation == "<=" ? order <= 0
               : bound.relation == ">"  ? order > 0
               : bound.relation == ">=" ? order >= 0
                                        : order == 0;
    });
}

VersionRange read_versions(const YamlNode& node) {
    try {
        return VersionRange::parse(node.text());
    } catch (const std::invalid_argument& error) {
        node.fail(error.what());
    }
}

} // namespace harness
