#include "reference-client/read_uri.hpp"

namespace refclient {

nbd::Uri read_uri(const std::string& text, const Options& options) {
    const bool misread = options.wire_fault != nullptr && options.wire_fault->uri != nullptr;
    return nbd::parse_uri(misread ? options.wire_fault->uri(text) : text);
}

} // namespace refclient
