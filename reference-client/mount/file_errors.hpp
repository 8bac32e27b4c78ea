#pragma once

// What a program that knows only files is told when something fails.

#include "reference-client/failure.hpp"

namespace refclient::mount {

/// What was asked of the file.
enum class FileAction { read, write, zero, grow, shrink, flush };

/// The errno value for a failure. A program is told what it would be told of a local file: no server's
/// refusal to grow is anything but a full disk to it, and what the bridge should not have sent is an
/// input/output error.
[[nodiscard]] int file_error(FileAction action, const Failure& failure);

/// True if the connection has ended with it.
[[nodiscard]] bool ends_connection(const Failure& failure);

} // namespace refclient::mount
