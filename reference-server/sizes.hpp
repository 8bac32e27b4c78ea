#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace refserver {

/// A size in bytes as people write it: "1048576", "1M", "1MiB", "64k". K, M, G, T, P and E are powers of
/// 1024, with or without "iB"; "MB" and the like are powers of 1000. Case does not matter. Throws
/// std::invalid_argument with a message that says what is wrong.
[[nodiscard]] std::uint64_t parse_size(std::string_view text);

/// The size for people: "1 MiB", "1000 bytes".
[[nodiscard]] std::string size_text(std::uint64_t size);

} // namespace refserver
