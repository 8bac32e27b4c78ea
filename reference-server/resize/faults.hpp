#pragma once

// Rules of the RESIZE extension that an export can be told to break, so that a suite can be shown to notice.

#include <bitset>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace refserver {

/// Each breaks one statement of docs/resize-extension.md.
enum class Fault : std::size_t { count };

using FaultSet = std::bitset<static_cast<std::size_t>(Fault::count) + 1>;

/// What people see of a fault.
struct FaultEntry {
    Fault fault;
    std::string_view name;        ///< as in `fault=NAME`
    std::string_view requirement; ///< the statement that it breaks, "RZ-INFO-3"
    std::string_view sentence;    ///< what the server does instead
};

[[nodiscard]] std::span<const FaultEntry> all_faults();
[[nodiscard]] std::optional<Fault> find_fault(std::string_view name);

} // namespace refserver
