#include "drivers/common/library.hpp"

namespace driver {

Batch::~Batch() = default;

std::span<const std::byte> Batch::data() const {
    return {};
}

Library::~Library() = default;

void Library::idle() {}

} // namespace driver
