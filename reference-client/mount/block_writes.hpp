#pragma once

// Writes that need not keep to the blocks of a server, and wait for the replies.

#include "reference-client/connection.hpp"
#include "reference-client/mount/ranges.hpp"

namespace refclient::mount {

/// Writes data at an offset. Blocks that they cover in part are read first. Throws Failure.
void overwrite(Connection& connection, std::uint64_t offset, nbd::Bytes data);

/// Makes a range read as zeroes, by NBD_CMD_WRITE_ZEROES where the server offers it, else by writing them.
/// `flags` are those of NBD_CMD_WRITE_ZEROES. Throws Failure.
void overwrite_with_zeroes(Connection& connection, Range range, std::uint16_t flags = 0);

} // namespace refclient::mount
