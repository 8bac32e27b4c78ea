#include "reference-client/operation.hpp"

#include "protocol/describe.hpp"
#include "reference-client/failure.hpp"

#include <fmt/format.h>

namespace refclient {

Operation Operation::read(std::uint64_t offset, std::span<std::uint8_t> into, std::uint16_t flags) {
    Operation operation = range(nbd::Command::read, offset, into.size(), flags);
    operation.into = into;
    return operation;
}

Operation Operation::write(std::uint64_t offset, nbd::Bytes data, std::uint16_t flags) {
    Operation operation = range(nbd::Command::write, offset, data.size(), flags);
    operation.data = data;
    return operation;
}

Operation Operation::range(nbd::Command type, std::uint64_t offset, std::uint64_t length,
                           std::uint16_t flags) {
    Operation operation;
    operation.type = type;
    operation.flags = flags;
    operation.offset = offset;
    operation.length = length;
    return operation;
}

Operation Operation::flush(std::uint16_t flags) {
    return range(nbd::Command::flush, 0, 0, flags);
}

std::string to_text(const Operation& operation) {
    if (operation.type == nbd::Command::flush) {
        return nbd::name(operation.type);
    }
    return fmt::format("{} of {} bytes at {}", nbd::name(operation.type), operation.length, operation.offset);
}

void Completion::check() const {
    if (ok()) {
        return;
    }
    std::string text = fmt::format("{}: the server answered {}", to_text(operation), nbd::name(error));
    if (error_offset) {
        text += fmt::format(" for offset {}", *error_offset);
    }
    if (!message.empty()) {
        text += fmt::format(": {}", nbd::quoted(message));
    }
    throw Failure(error, text);
}

} // namespace refclient
