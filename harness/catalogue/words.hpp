#pragma once

#include <string>
#include <vector>

namespace harness {

class YamlNode;

/// The flags of a request, as the driver protocol and scenarios write them.
[[nodiscard]] const std::vector<std::string>& request_flag_words();

/// The transmission flags, as the driver protocol and scenarios write them.
[[nodiscard]] const std::vector<std::string>& transmission_flag_words();

/// Refuses a name that could not be part of a case's name, of a pattern and of a folder's name: letters,
/// digits,
/// '-', '_' and '.', which is not the first. It stands at `node`, or is the key of its value.
void check_name(const std::string& name, const YamlNode& node, bool is_key);

} // namespace harness
