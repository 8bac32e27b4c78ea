#pragma once

#include <map>
#include <string>
#include <utility>

namespace harness {

/// The versions of the installed peers, by role and name.
using Versions = std::map<std::pair<std::string, std::string>, std::string>;

} // namespace harness
