#pragma once

#include "harness/catalogue/requirement.hpp"
#include "harness/catalogue/version_range.hpp"
#include "harness/catalogue/yaml.hpp"

#include <string>
#include <vector>

namespace harness {

/// A known departure of a released peer from the specification (or a known quarrel with it).
struct Deviation {
    std::string id;
    std::string role;               ///< "server" or "client": the side that deviates
    std::vector<std::string> peers; ///< labels with globs: "qemu-nbd", "qemu-nbd+qcow2", "nbdkit*"
    VersionRange versions;
    std::string rule;                   ///< the requirement that is broken; empty for a crash or a time-out
    std::string verdict;                ///< "fail", "warn", "crash" or "timeout"
    std::vector<std::string> scenarios; ///< globs
    std::vector<std::string> others;    ///< labels of the other side, with globs; empty for all
    std::string reason;
    std::string transcript; ///< the shortest exchange that shows it on the wire, for people; may be empty
    Position position;
};

/// Reads deviations.yaml.
[[nodiscard]] std::vector<Deviation> load_deviations(const YamlNode& document,
                                                     const Requirements& requirements);

} // namespace harness
