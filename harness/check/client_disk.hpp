#pragma once

#include "harness/check/client_case.hpp"

#include <filesystem>
#include <string>

namespace harness::check {

/// Makes the disk that a server with a content other than `zeroes` has, as a file. Throws
/// std::filesystem::filesystem_error.
void make_disk(const ClientServer& server, const std::filesystem::path& file);

/// Makes a file of so many bytes, at most 64 MiB, that no disk of `make_disk` agrees with.
void make_input(std::uint64_t size, const std::filesystem::path& file);

/// What stands for the content of a file: its size and a hash; files that differ have different ones, but for
/// bad luck.
[[nodiscard]] std::string digest_of(const std::filesystem::path& file);

} // namespace harness::check
