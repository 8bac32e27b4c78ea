#pragma once

#include <functional>
#include <string_view>

namespace refserver {

/// Takes one line for people per message. An empty function costs nothing: nothing is formatted for it.
using Trace = std::function<void(std::string_view)>;

} // namespace refserver
