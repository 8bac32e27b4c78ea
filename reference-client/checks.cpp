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

bool modifies(const Operation& operation) {
    return writes_data(operation) || operation.type == Command::trim ||
           (operation.type == Command::resize && resize_form(operation) == ResizeForm::plain);
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
    case Command::resize:
        return offered::send_resize;
    default:
        return 0;
    }
}

/// The flags that the specification documents for a command.
std::uint16_t documented_flags(const Operation& operation) {
    switch (operation.type) {
    case Command::read:
        return asked::fua | asked::df;
    case Command::write:
        return asked::fua | asked::extend;
    case Command::write_zeroes:
        return asked::fua | asked::no_hole | asked::fast_zero | asked::extend;
    case Command::resize:
        switch (resize_form(operation)) {
        case ResizeForm::plain:
            return asked::fua | asked::no_hole;
        case ResizeForm::query:
            return asked::fua | asked::query;
        case ResizeForm::notify:
            return asked::fua | asked::notify;
        case ResizeForm::cancel:
            return asked::fua | asked::cancel;
        }
        return 0;
    case Command::block_status:
        return asked::fua | asked::req_one;
    default:
        return asked::fua;
    }
}

void check_command(const ExportInfo& info, const Operation& operation) {
    if (modifies(operation) && info.has(offered::read_only)) {
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
    const auto undocumented = static_cast<std::uint16_t>(operation.flags & ~documented_flags(operation));
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
    // Flags of RESIZE are only valid by what NBD_INFO_RESIZE said (RZ-INFO-7).
    need(asked::extend, info.can_resize(nbd::resize_capability::automatic));
    need(asked::query, info.can_resize(nbd::resize_capability::query));
    need(asked::notify, info.can_resize(nbd::resize_capability::notify));
    need(asked::cancel, info.can_resize(nbd::resize_capability::notify));
}

void check_resize(const ExportInfo& info, const Operation& operation) {
    const ResizeForm form = resize_form(operation);
    const bool offset_free = form == ResizeForm::plain || form == ResizeForm::cancel;
    if ((operation.length != 0 && form != ResizeForm::notify) || (operation.offset != 0 && !offset_free)) {
        refuse(operation, EINVAL, "this form has to have 0 in the fields that it does not use");
    }
    if (form != ResizeForm::plain) {
        return;
    }
    if (operation.offset > nbd::max_resize) {
        refuse(operation, EINVAL, fmt::format("{} is the largest size to ask for", nbd::max_resize));
    }
    if (info.resize && !info.can_resize(nbd::resize_capability::explicit_)) {
        refuse(operation, ENOTSUP, "NBD_INFO_RESIZE was sent without EXPLICIT");
    }
}

/// A write may go past the end where that is what it is meant for, and nothing rules it out.
void check_growth(const ExportInfo& info, const Operation& operation) {
    if (operation.offset > nbd::max_resize || operation.length > nbd::max_resize - operation.offset) {
        refuse(operation, EINVAL, fmt::format("an export can grow to {} bytes at most", nbd::max_resize));
    }
    const bool asks = (operation.flags & asked::extend) != 0;
    if (!asks && info.resize && !info.can_resize(nbd::resize_capability::automatic_implicit)) {
        refuse(operation, ENOSPC, "NBD_INFO_RESIZE was sent without AUTO_IMPLICIT");
    }
}

void check_range(const ExportInfo& info, std::uint64_t size, const Operation& operation) {
    if (operation.type == Command::flush) {
        return;
    }
    if (operation.type == Command::resize) {
        return check_resize(info, operation);
    }
    if (operation.length == 0) {
        refuse(operation, EINVAL, "the specification leaves open what a length of 0 does");
    }
    const bool past_end = operation.offset > size || operation.length > size - operation.offset;
    const bool extends =
        writes_data(operation) && (operation.past_end || (operation.flags & asked::extend) != 0);
    if (past_end && extends) {
        check_growth(info, operation);
    } else if (past_end) {
        refuse(operation, writes_data(operation) ? ENOSPC : EINVAL,
               fmt::format("the export ends at {}", size));
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

void check_allowed(const ExportInfo& info, std::uint64_t size, const Operation& operation) {
    check_command(info, operation);
    check_flags(info, operation);
    check_range(info, size, operation);
}

} // namespace refclient
