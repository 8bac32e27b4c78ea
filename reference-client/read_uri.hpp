#pragma once

#include "protocol/uri.hpp"
#include "reference-client/options.hpp"

#include <string>

namespace refclient {

/// Reads a URI, wrongly if that is what the options say. Throws nbd::UriError.
[[nodiscard]] nbd::Uri read_uri(const std::string& text, const Options& options);

} // namespace refclient
