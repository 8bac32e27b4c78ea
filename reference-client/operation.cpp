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

Operation Operation::resize(std::uint64_t size, std::uint16_t flags) {
    return range(nbd::Command::resize, size, 0, flags);
}

Operation Operation::query_size(std::uint16_t flags) {
    return range(nbd::Command::resize, 0, 0, flags | nbd::command_flag::query);
}

Operation Operation::notify(std::uint64_t credit, std::uint16_t flags) {
    return range(nbd::Command::resize, 0, credit, flags | nbd::command_flag::notify);
}

Operation Operation::cancel(Cookie subscription, std::uint16_t flags) {
    return range(nbd::Command::resize, subscription, 0, flags | nbd::command_flag::cancel);
}

ResizeForm resize_form(const Operation& operation) {
    if ((operation.flags & nbd::command_flag::query) != 0) {
        return ResizeForm::query;
    }
    if ((operation.flags & nbd::command_flag::notify) != 0) {
        return ResizeForm::notify;
    }
    return (operation.flags & nbd::command_flag::cancel) != 0 ? ResizeForm::cancel : ResizeForm::plain;
}

bool writes_data(const Operation& operation) {
    return operation.type == nbd::Command::write || operation.type == nbd::Command::write_zeroes;
}

std::uint64_t end_of(const Operation& operation) {
    return operation.length > UINT64_MAX - operation.offset ? UINT64_MAX
                                                            : operation.offset + operation.length;
}

namespace {

std::string resize_text(const Operation& operation) {
    const std::string command = nbd::name(operation.type);
    switch (resize_form(operation)) {
    case ResizeForm::plain:
        return fmt::format("{} to {} bytes", command, operation.offset);
    case ResizeForm::query:
        return fmt::format("{} that asks for the size", command);
    case ResizeForm::notify:
        return operation.length == 0
                   ? fmt::format("{} that asks for notifications", command)
                   : fmt::format("{} that asks for {} notifications", command, operation.length);
    case ResizeForm::cancel:
        break;
    }
    return fmt::format("{} that cancels the notifications of cookie {}", command, operation.offset);
}

} // namespace

std::string to_text(const Operation& operation) {
    if (operation.type == nbd::Command::resize) {
        return resize_text(operation);
    }
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
