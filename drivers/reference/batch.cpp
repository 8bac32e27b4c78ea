#include "drivers/reference/batch.hpp"

#include <utility>

namespace driver {
namespace {

using refclient::Operation;

nbd::Command to_command(Command command) {
    switch (command) {
    case Command::read:
        return nbd::Command::read;
    case Command::write:
        return nbd::Command::write;
    case Command::zero:
        return nbd::Command::write_zeroes;
    case Command::trim:
        return nbd::Command::trim;
    case Command::cache:
        break;
    }
    return nbd::Command::cache;
}

} // namespace

std::uint16_t to_command_flags(const Flags& flags) {
    namespace bit = nbd::command_flag;
    unsigned bits = 0;
    bits |= flags.fua ? bit::fua : 0U;
    bits |= flags.df ? bit::df : 0U;
    bits |= flags.no_hole ? bit::no_hole : 0U;
    bits |= flags.fast ? bit::fast_zero : 0U;
    bits |= flags.req_one ? bit::req_one : 0U;
    return static_cast<std::uint16_t>(bits);
}

Error to_error(const refclient::Failure& failure) {
    Where where = Where::connection;
    if (failure.kind() == refclient::FailureKind::server) {
        where = Where::server;
    } else if (failure.kind() == refclient::FailureKind::local) {
        where = Where::local;
    }
    return {errno_name(failure.code()), where, failure.what()};
}

ReferenceBatch::ReferenceBatch(std::shared_ptr<OpenSession> open, const Transfer& step,
                               std::vector<std::byte> memory)
  : open_(std::move(open))
  , memory_(std::move(memory)) {
    requests_.reserve(step.count);
    auto* const bytes = reinterpret_cast<std::uint8_t*>(memory_.data());
    for (std::uint64_t i = 0; i < step.count; ++i) {
        Operation operation = Operation::range(to_command(step.command), step.offset + i * step.stride,
                                               step.length, to_command_flags(step.flags));
        const std::span<std::uint8_t> part(memory_.empty() ? nullptr : bytes + i * step.length,
                                           memory_.empty() ? 0 : step.length);
        if (step.command == Command::read) {
            operation.into = part;
        } else if (step.command == Command::write) {
            operation.data = part;
        }
        try {
            requests_.emplace_back(open_->session.submit(std::move(operation)));
        } catch (const refclient::Failure& failure) {
            requests_.emplace_back(to_error(failure));
        }
    }
}

ReferenceBatch::~ReferenceBatch() {
    if (!requests_.empty()) {
        open_->memory.push_back(std::move(memory_));
    }
}

std::vector<RequestError> ReferenceBatch::wait() {
    std::vector<RequestError> errors;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
        if (const auto* refused = std::get_if<Error>(&requests_[i])) {
            errors.push_back({i, *refused});
            continue;
        }
        try {
            open_->session.wait(std::get<refclient::Ticket>(requests_[i])).check();
        } catch (const refclient::Failure& failure) {
            errors.push_back({i, to_error(failure)});
        }
    }
    requests_.clear();
    return errors;
}

} // namespace driver
