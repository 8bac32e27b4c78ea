#include "reference-server/session/checks.hpp"

#include <fmt/format.h>

#include <bit>
#include <limits>

namespace refserver {
namespace {

using nbd::Command;
using nbd::Error;
namespace flag = nbd::command_flag;
namespace offer = nbd::transmission_flag;
namespace can = nbd::resize_capability;

template <class... Arguments>
Refusal refuse(Error error, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    return {error, fmt::format(text, std::forward<Arguments>(arguments)...)};
}

bool is_writing(Command command) {
    return command == Command::write || command == Command::write_zeroes || command == Command::trim;
}

/// The transmission flag that exposes the command; `has_flags`, which is always set, if none is needed.
std::optional<std::uint16_t> exposed_by(Command command) {
    switch (command) {
    case Command::read:
    case Command::write:
    case Command::disc:
    case Command::block_status:
        return offer::has_flags;
    case Command::flush:
        return offer::send_flush;
    case Command::trim:
        return offer::send_trim;
    case Command::cache:
        return offer::send_cache;
    case Command::write_zeroes:
        return offer::send_write_zeroes;
    case Command::resize:
        return offer::send_resize;
    }
    return std::nullopt;
}

std::uint16_t allowed_flags(Command command, const Agreement& agreement) {
    unsigned allowed = agreement.offers(offer::send_fua) ? flag::fua : 0U;
    const bool may_say_extend =
        agreement.promised(can::automatic) || agreement.served->has(Fault::extend_flag_ignored);
    switch (command) {
    case Command::read:
        allowed |= agreement.offers(offer::send_df) ? flag::df : 0U;
        break;
    case Command::write:
        allowed |= agreement.style == ReplyStyle::extended ? flag::payload_len : 0U;
        allowed |= may_say_extend ? flag::extend : 0U;
        break;
    case Command::write_zeroes:
        allowed |= may_say_extend ? flag::extend : 0U;
        allowed |= flag::no_hole;
        allowed |= agreement.offers(offer::send_fast_zero) ? flag::fast_zero : 0U;
        break;
    case Command::block_status:
        allowed |= flag::req_one;
        allowed |= agreement.offers(offer::block_status_payload) ? flag::payload_len : 0U;
        break;
    case Command::resize:
        if (agreement.style != ReplyStyle::simple) {
            const bool query =
                agreement.promised(can::query) || agreement.served->has(Fault::flag_without_capability);
            allowed |= query ? flag::query : 0U;
            allowed |= agreement.promised(can::notify) ? flag::notify | flag::cancel : 0U;
        }
        allowed |= flag::no_hole;
        break;
    default:
        break;
    }
    return static_cast<std::uint16_t>(allowed);
}

std::optional<Refusal> check_flags(const nbd::Request& request, const Agreement& agreement) {
    const auto excess = static_cast<std::uint16_t>(request.flags & ~allowed_flags(request.type, agreement));
    if (excess != 0) {
        return refuse(Error::inval, "{} does not take the flags {} here", nbd::name(request.type),
                      nbd::command_flag_names(excess));
    }
    return std::nullopt;
}

std::optional<Refusal> check_length(const nbd::Request& request, const Agreement& agreement) {
    const std::uint64_t maximum = agreement.served->options().block.maximum;
    if (request.length <= maximum) {
        return std::nullopt;
    }
    if (request.type == Command::write) {
        return refuse(Error::inval, "a write of {} bytes exceeds the maximum payload of {}", request.length,
                      maximum);
    }
    if (request.type != Command::read) {
        return std::nullopt;
    }
    if (agreement.style == ReplyStyle::simple) {
        return refuse(Error::inval, "a read of {} bytes exceeds the maximum payload of {}", request.length,
                      maximum);
    }
    if ((request.flags & flag::df) != 0) {
        return refuse(Error::overflow,
                      "a read of {} bytes is too long to send unfragmented; the maximum is {}",
                      request.length, maximum);
    }
    if (request.length > std::numeric_limits<std::uint32_t>::max()) {
        return refuse(Error::overflow, "a read of {} bytes is too long", request.length);
    }
    return std::nullopt;
}

std::optional<Refusal> check_alignment(std::uint64_t offset, std::uint64_t length,
                                       const Agreement& agreement) {
    const std::uint64_t block = agreement.served->options().block.minimum;
    if (offset % block != 0 || length % block != 0) {
        return refuse(Error::inval, "{} bytes at offset {} are not aligned to the minimum block size of {}",
                      length, offset, block);
    }
    return std::nullopt;
}

/// Malformed NBD_CMD_RESIZE. Whether the plain form is permitted, and to which size, is up to the export.
std::optional<Refusal> check_resize(const nbd::Request& request, const Agreement& agreement) {
    const auto has = [&](Fault fault) { return agreement.served->has(fault); };
    constexpr unsigned forms = flag::query | flag::notify | flag::cancel;
    const unsigned form = request.flags & forms;
    if (has(Fault::permission_first) && form == 0 && !agreement.served->grows_on_request()) {
        return refuse(Error::perm, "this export does not change its size on request");
    }
    if (std::popcount(form) > 1 && !has(Fault::two_forms)) {
        return refuse(Error::inval, "at most one of QUERY, NOTIFY and CANCEL can be asked for");
    }
    if (form != 0 && (request.flags & flag::no_hole) != 0 && !has(Fault::no_hole_on_query)) {
        return refuse(Error::inval, "NBD_CMD_FLAG_NO_HOLE is for changing the size");
    }
    if (form != flag::notify && request.length != 0 && !(form == 0 && has(Fault::length_ignored))) {
        return refuse(Error::inval, "the length of this NBD_CMD_RESIZE has to be 0, not {}", request.length);
    }
    const bool offset_counts = (form == flag::query && !has(Fault::query_offset_ignored)) ||
                               (form == flag::notify && !has(Fault::notify_offset_ignored));
    if (offset_counts && request.offset != 0) {
        return refuse(Error::inval, "the offset of this NBD_CMD_RESIZE has to be 0, not {}", request.offset);
    }
    if (form == 0 && request.offset > nbd::max_resize) {
        return refuse(has(Fault::oversize_nospc) ? Error::nospc : Error::inval,
                      "a size of {} bytes is more than {}", request.offset, nbd::max_resize);
    }
    return std::nullopt;
}

/// A request that may extend the export, and ends behind it.
std::optional<Refusal> check_extension(const nbd::Request& request, const Agreement& agreement) {
    if (request.offset > nbd::max_resize || request.length > nbd::max_resize - request.offset) {
        return refuse(agreement.served->has(Fault::huge_write_nospc) ? Error::nospc : Error::inval,
                      "{} bytes at offset {} end beyond {}", request.length, request.offset, nbd::max_resize);
    }
    return check_alignment(request.offset, request.length, agreement);
}

} // namespace

bool may_extend(const nbd::Request& request, const Agreement& agreement) {
    const Export& served = *agreement.served;
    const bool adds = request.type == Command::write || request.type == Command::write_zeroes ||
                      (request.type == Command::trim && served.has(Fault::trim_extends));
    if (!adds || (request.length == 0 && !served.has(Fault::empty_write_extends))) {
        return false;
    }
    if (served.has(Fault::extends_uninvited) && !served.read_only()) {
        return true;
    }
    if (!served.grows_by_writes()) {
        return false;
    }
    const bool asks = (request.flags & flag::extend) != 0 && agreement.promised(can::automatic);
    return asks || served.rules().knobs.consent == Consent::implicit;
}

std::optional<Refusal> check_range(Command command, std::uint64_t offset, std::uint64_t length,
                                   const Agreement& agreement) {
    const std::uint64_t size =
        agreement.served->has(Fault::stale_end) ? agreement.told_size : agreement.served->size();
    if (offset > size || length > size - offset) {
        const bool adds = command == Command::write || command == Command::write_zeroes;
        return refuse(adds ? Error::nospc : Error::inval,
                      "{} bytes at offset {} are not within the export of {} bytes", length, offset, size);
    }
    return check_alignment(offset, length, agreement);
}

std::optional<Refusal> check(const nbd::Request& request, const Agreement& agreement) {
    if (request.type == Command::disc) {
        return std::nullopt;
    }
    const auto exposed = exposed_by(request.type);
    if (!exposed) {
        return refuse(Error::inval, "unknown command {}", nbd::name(request.type));
    }
    if (auto refusal = check_flags(request, agreement)) {
        return refusal;
    }
    if (is_writing(request.type) && agreement.offers(offer::read_only)) {
        if (agreement.served->has(Fault::room_before_read_only) &&
            request.offset + request.length > agreement.served->size()) {
            return refuse(Error::nospc, "the export has no room");
        }
        return refuse(Error::perm, "the export is read-only");
    }
    if (!agreement.offers(*exposed)) {
        return refuse(Error::inval, "{} was not offered", nbd::name(request.type));
    }
    if (request.type == Command::flush) {
        if (agreement.served->has(Fault::resize_ends_flush) &&
            agreement.served->size() != agreement.told_size) {
            return refuse(Error::inval, "NBD_CMD_FLUSH is not offered any more");
        }
        if (request.offset != 0 || request.length != 0) {
            return refuse(Error::inval, "offset and length of NBD_CMD_FLUSH are reserved and must be 0");
        }
        return std::nullopt;
    }
    if (request.type == Command::resize) {
        return check_resize(request, agreement);
    }
    if (request.type == Command::block_status) {
        if (agreement.contexts.empty()) {
            return refuse(Error::inval, "no metadata context was selected for this export");
        }
        if ((request.flags & flag::payload_len) != 0) {
            return std::nullopt;
        }
        if (request.length == 0) {
            return refuse(Error::inval, "NBD_CMD_BLOCK_STATUS needs a length");
        }
    }
    const std::uint64_t size =
        agreement.served->has(Fault::stale_end) ? agreement.told_size : agreement.served->size();
    const bool within = request.offset <= size && request.length <= size - request.offset;
    auto refusal = !within && may_extend(request, agreement)
                       ? check_extension(request, agreement)
                       : check_range(request.type, request.offset, request.length, agreement);
    if (refusal) {
        return refusal;
    }
    return check_length(request, agreement);
}

} // namespace refserver
