#pragma once

#include "protocol/uri.hpp"
#include "reference-client/options.hpp"

#include <string>

namespace refclient::cli {

/// Reads a URI that somebody has typed, and warns on standard error of parameters that are not known. Throws
/// nbd::UriError.
[[nodiscard]] nbd::Uri given_uri(const std::string& text, const Options& options);

} // namespace refclient::cli
