#include "drivers/common/library.hpp"

#include <cerrno>

namespace driver {

Batch::~Batch() = default;

std::span<const std::byte> Batch::data() const {
    return {};
}

Library::~Library() = default;

HeldSize Library::grow(const Grow& /*step*/) {
    refuse_step(ENOTSUP, "this driver cannot make an export longer");
}

HeldSize Library::learn(const Learn& /*step*/) {
    refuse_step(ENOTSUP, "this driver cannot learn of a new size");
}

void Library::idle() {}

} // namespace driver
