#pragma once

// The files in reports/templates, which the build compiles into the library.

#include <string_view>

namespace reports::templates {

extern const std::string_view page_mustache;
extern const std::string_view page_css;
extern const std::string_view page_js;

} // namespace reports::templates
