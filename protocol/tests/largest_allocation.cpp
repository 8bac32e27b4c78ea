#include "protocol/tests/largest_allocation.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t largest = 0;

} // namespace

namespace nbd::test {

std::size_t largest_allocation() {
    return largest;
}

void reset_largest_allocation() {
    largest = 0;
}

} // namespace nbd::test

// Replaces the allocation of the whole test program.

void* operator new(std::size_t size) {
    largest = std::max(largest, size);
    if (void* block = std::malloc(size == 0 ? 1 : size)) {
        return block;
    }
    throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
    std::free(block);
}

void operator delete(void* block, std::size_t /*size*/) noexcept {
    std::free(block);
}
