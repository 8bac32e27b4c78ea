#pragma once

#include <cstddef>

namespace nbd::test {

/// The size of the largest block that this thread has asked `operator new` for since the last reset, in
/// bytes.
std::size_t largest_allocation();
void reset_largest_allocation();

} // namespace nbd::test
