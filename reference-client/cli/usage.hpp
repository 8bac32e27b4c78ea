#pragma once

// What --help says below the options.

#include <string_view>

namespace refclient::cli {

inline constexpr std::string_view examples = R"(
COMMAND and URI may change places: `URI COMMAND …` is the same.

Sizes and offsets are in bytes and take suffixes: 512, 4K, 1M, 2GiB (powers of 1024).

Examples:
  nbd-resize-client info nbd://localhost
  nbd-resize-client info --json 'nbd+unix:///disk?socket=/tmp/nbd.sock'
  nbd-resize-client list nbd://localhost
  nbd-resize-client read nbd://localhost/disk 0 512
  nbd-resize-client write nbd://localhost/disk 1M --pattern 0x5a --length 64K
  nbd-resize-client zero nbd://localhost/disk 0 1G --no-hole
  nbd-resize-client map nbd://localhost/disk
  nbd-resize-client copy nbd://localhost/disk disk.img
  nbd-resize-client grow nbd://localhost/disk 2G
  nbd-resize-client write nbd://localhost/disk 1G --grow flagged --input more
  nbd-resize-client watch nbd://localhost/disk --learn poll --interval 0.5
  nbd-resize-client mount nbd://localhost/disk disk.img

Exit status:
  0  success
  1  the server answered with an error, the connection failed, or a file could not be used
  2  wrong usage
  3  mount: FUSE is missing, or this user must not use it
  4  mount: there is nothing at FILE that can be mounted over)";

} // namespace refclient::cli
