#pragma once

// What the driver answers, as JSON.

#include "drivers/common/library.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <vector>

namespace driver {

[[nodiscard]] boost::json::object to_json(const Hello& hello);
[[nodiscard]] boost::json::object to_json(const ExportInfo& info);
/// {"exports": […]}
[[nodiscard]] boost::json::object to_json(const std::vector<ListedExport>& exports);
/// {"extents": […]}
[[nodiscard]] boost::json::object to_json(const std::vector<Extent>& extents);

[[nodiscard]] boost::json::object to_json(const HeldSize& held);

/// The answer to a step that succeeded. `id` is the step's, or null.
[[nodiscard]] boost::json::object success(const boost::json::value& id, boost::json::object result);

/// The answer to a step that failed. `requests` lists the failures of a step with several requests.
[[nodiscard]] boost::json::object failure(const boost::json::value& id, const Error& error,
                                          const std::vector<RequestError>& requests = {});

} // namespace driver
