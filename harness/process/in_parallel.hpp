#pragma once

#include <cstddef>
#include <functional>

namespace harness {

/// Calls `work` with each index below `count`, from `jobs` threads, at least one. `after` is told after each,
/// from one thread at a time: how many are done, and which one just was. The first exception ends it: nothing
/// else begins, what is under way is waited for, and the exception is thrown on.
void in_parallel(unsigned jobs, std::size_t count, const std::function<void(std::size_t index)>& work,
                 const std::function<void(std::size_t done, std::size_t index)>& after = {});

} // namespace harness
