#include "reference-client/checks.hpp"

#include "reference-client/failure.hpp"

#include <fmt/format.h>

#include <cerrno>

namespace refclient {
namespace {

using nbd::Command;
namespace offered = nbd::transmission_flag;
namespace asked = nbd::command_flag;

[[noreturn]] void refuse(const Operation& operation, int code, const std::string& why) {
    throw Failure(FailureKind::local, code, fmt::format("{}: not sent: {}", to_text(operation), why));
}

bool modifies(Command type) {
    return type == Command::write || type == Command::write_zeroes || type == Command::trim;
}

/// The flag by which a server offers a command; 0 if it needs none.
std::uint16_t offering(Command type) {
    switch (type) {
    case Command::flush:
        return offered::send_flush;
    case Command::trim:
        return offered::send_trim;
    case Command::cache:
        return offered::send_cache;
    case Command::write_zeroes:
        return offered::send_write_zeroes;
    default:
        return 0;
    }
}

/// The flags that the specification documents for a command.
std::uint16_t documented_flags(Command type) {
    switch (type) {
    case Command::read:
        return asked::fua | asked::df;
    case Command::write_zeroes:
        return asked::fua | asked::no_hole | asked::fast_zero;
    case Command::block_status:
        return asked::fua | asked::req_one;
    default:
        return asked::fua;
    }
}

void check_command(const ExportInfo& info, const Operation& operation) {
    if (modifies(operation.type) && info.has(offered::read_only)) {
        refuse(operation, EPERM, "the export is read-only");
    }
    const std::uint16_t needed = offering(operation.type);
    if (!info.has(needed)) {
        refuse(operation, ENOTSUP,
               fmt::format("the server does not offer it ({} is not set)",
                           nbd::transmission_flag_names(needed)));
    }
    if (operation.type == Command::block_status && info.contexts.empty()) {
        refuse(operation, ENOTSUP, "no metadata context was agreed on with the server");
    }
    if (!operation.contexts.empty() && !info.has(offered::block_status_payload)) {
        refuse(operation, ENOTSUP, "the server does not offer a choice of contexts");
    }
}

void check_flags(const ExportInfo& info, const Operation& operation) {
    const auto undocumented = static_cast<std::uint16_t>(operation.flags & ~documented_flags(operation.type));
    if (undocumented != 0) {
        refuse(operation, EINVAL,
               fmt::format("{} does not belong to this command", nbd::command_flag_names(undocumented)));
    }
    const auto need = [&](std::uint16_t flag, bool there) {
        if ((operation.flags & flag) != 0 && !there) {
            refuse(operation, ENOTSUP,
                   fmt::format("the server does not offer {}", nbd::command_flag_names(flag)));
        }
    };
    need(asked::fua, info.has(offered::send_fua));
    need(asked::df, info.structured && info.has(offered::send_df));
    need(asked::fast_zero, info.has(offered::send_fast_zero));
}

void check_range(const ExportInfo& info, const Operation& operation) {
    if (operation.type == Command::flush) {
        return;
    }
    if (operation.length == 0) {
        refuse(operation, EINVAL, "the specification leaves open what a length of 0 does");
    }
    if (operation.offset > info.size || operation.length > info.size - operation.offset) {
        refuse(operation,
               operation.type == Command::write || operation.type == Command::write_zeroes ? ENOSPC : EINVAL,
               fmt::format("the export ends at {}", info.size));
    }
    const std::uint32_t block = info.minimum_block();
    if (operation.offset % block != 0 || operation.length % block != 0) {
        refuse(operation, EINVAL, fmt::format("the server wants multiples of {} bytes", block));
    }
    const bool carries =
        operation.type == Command::write || (operation.type == Command::read && !info.structured);
    if (carries && operation.length > info.maximum_payload()) {
        refuse(operation, EINVAL,
               fmt::format("{} bytes are the most for one request", info.maximum_payload()));
    }
}

} // namespace

void check_allowed(const ExportInfo& info, const Operation& operation) {
    check_command(info, operation);
    check_flags(info, operation);
    check_range(info, operation);
}

} // namespace refclient
