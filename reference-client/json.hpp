#pragma once

// What the client knows, as JSON for programs.

#include "reference-client/export_info.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace refclient {

/// The transmission flags that are set, by short names: "read-only", "flush", … Unknown bits are left out.
[[nodiscard]] std::vector<std::string> flag_list(std::uint16_t transmission_flags);

/// What a server can do about the size, by short names: "explicit", "shrink", … Unknown bits are left out.
[[nodiscard]] std::vector<std::string> resize_capability_list(std::uint16_t capabilities);

/// An export: name, size, flags, block sizes, contexts and what was agreed on.
[[nodiscard]] boost::json::object to_json(const ExportInfo& info);

} // namespace refclient
