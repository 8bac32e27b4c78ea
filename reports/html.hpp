#pragma once

// The run as one web page.

#include "reports/result.hpp"

#include <string>

namespace reports {

/// The run as one self-contained HTML page: nothing is loaded from elsewhere but the cases' folders, which it
/// links to. It needs no JavaScript; where there is some, cases can be filtered and searched. All text of the
/// run is escaped, whatever bytes it holds.
[[nodiscard]] std::string to_html(const RunResult& run);

} // namespace reports
