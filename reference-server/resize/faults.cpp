#include "reference-server/resize/faults.hpp"

#include <algorithm>
#include <array>

namespace refserver {
namespace {

constexpr std::array<FaultEntry, static_cast<std::size_t>(Fault::count)> entries{};

} // namespace

std::span<const FaultEntry> all_faults() {
    return entries;
}

std::optional<Fault> find_fault(std::string_view name) {
    const auto* const found =
        std::find_if(entries.begin(), entries.end(), [&](const FaultEntry& e) { return e.name == name; });
    return found == entries.end() ? std::nullopt : std::optional(found->fault);
}

} // namespace refserver
