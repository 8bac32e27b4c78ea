#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace harness::check {

/// A fault or an oddity of a reference program, as it lists them.
struct ListedFault {
    std::string name;
    std::string requirement; ///< that it breaks, or is about
    std::string sentence;    ///< what the program does: "answers with the next cookie"

    /// True if it belongs to the RESIZE extension. The reference server does not tell when such a fault is at
    /// work.
    [[nodiscard]] bool resize() const { return requirement.starts_with("RZ-"); }
    bool operator==(const ListedFault&) const = default;
};

/// What `PROGRAM LIST` prints, with `list` one of --list-faults and --list-oddities. Throws LaunchError,
/// std::runtime_error if the program fails or prints something else.
[[nodiscard]] std::vector<ListedFault> list_faults(const std::filesystem::path& program,
                                                   const std::string& list);

/// The one of this name; null if there is none.
[[nodiscard]] const ListedFault* find(const std::vector<ListedFault>& faults, std::string_view name);

} // namespace harness::check
