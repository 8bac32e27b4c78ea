#include "reference-client/cli/given_uri.hpp"

#include "reference-client/read_uri.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace refclient::cli {

nbd::Uri given_uri(const std::string& text, const Options& options) {
    nbd::Uri uri = read_uri(text, options);
    for (const std::string& unknown : uri.unknown_parameters()) {
        fmt::print(stderr, "nbd-resize-client: warning: the URI's parameter \"{}\" is not known\n", unknown);
    }
    return uri;
}

} // namespace refclient::cli
