#pragma once

#include "reference-server/gateway/gateway.hpp"
#include "reference-server/gateway/qmp_resizer.hpp"

#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace refserver {

/// How --resize-with says it.
struct TruncateOptions {
    std::string path;
};
using ResizeWith = std::variant<std::monostate, TruncateOptions, QmpOptions>;

/// The URI in the argument of --backend, "nbd:URI" or the URI itself. Throws std::invalid_argument.
[[nodiscard]] std::string parse_backend(const std::string& text);
/// The argument of --resize-with: "truncate:FILE" or "qmp:SOCKET[,KEY=VALUE...]"; nothing for the empty text.
/// Throws std::invalid_argument.
[[nodiscard]] ResizeWith parse_resize_with(const std::string& text);
/// Null where nothing can change the size. Throws std::system_error.
[[nodiscard]] std::unique_ptr<Resizer> make_resizer(const ResizeWith& how);

/// What the gateway's export offers: no more than is `wanted`, and no more than the inner server has. Unless
/// they were `given`, block sizes are the inner server's. Throws std::runtime_error if they do not fit.
[[nodiscard]] ExportOptions offered(ExportOptions wanted, bool block_sizes_given, const InnerFacts& inner);

} // namespace refserver
