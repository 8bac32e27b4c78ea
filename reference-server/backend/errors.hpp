#pragma once

#include "protocol/numbers.hpp"

namespace refserver {

struct Operation;

/// The protocol's error for an error number of the operating system (Error values). Those without a
/// counterpart become NBD_EIO.
[[nodiscard]] nbd::Error from_errno(int number);

/// Lets the operation fail with an error number of the operating system; `what` is the attempt, "write".
void fail_with_errno(Operation& operation, int number, const char* what);

} // namespace refserver
