#include "reference-server/session/checks.hpp"

#include <fmt/format.h>

#include <limits>

namespace refserver {
namespace {

using nbd::Command;
using nbd::Error;
namespace flag = nbd::command_flag;
namespace offer = nbd::transmission_flag;

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
        break;
    }
    return std::nullopt;
}

std::uint16_t allowed_flags(Command command, const Agreement& agreement) {
    unsigned allowed = agreement.offers(offer::send_fua) ? flag::fua : 0U;
    switch (command) {
    case Command::read:
        allowed |= agreement.offers(offer::send_df) ? flag::df : 0U;
        break;
    case Command::write:
        allowed |= agreement.style == ReplyStyle::extended ? flag::payload_len : 0U;
        break;
    case Command::write_zeroes:
        allowed |= flag::no_hole;
        allowed |= agreement.offers(offer::send_fast_zero) ? flag::fast_zero : 0U;
        break;
    case Command::block_status:
        allowed |= flag::req_one;
        allowed |= agreement.offers(offer::block_status_payload) ? flag::payload_len : 0U;
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

} // namespace

std::optional<Refusal> check_range(Command command, std::uint64_t offset, std::uint64_t length,
                                   const Agreement& agreement) {
    if (offset > agreement.size || length > agreement.size - offset) {
        const bool adds = command == Command::write || command == Command::write_zeroes;
        return refuse(adds ? Error::nospc : Error::inval,
                      "{} bytes at offset {} are not within the export of {} bytes", length, offset,
                      agreement.size);
    }
    const std::uint64_t block = agreement.served->options().block.minimum;
    if (offset % block != 0 || length % block != 0) {
        return refuse(Error::inval, "{} bytes at offset {} are not aligned to the minimum block size of {}",
                      length, offset, block);
    }
    return std::nullopt;
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
        return refuse(Error::perm, "the export is read-only");
    }
    if (!agreement.offers(*exposed)) {
        return refuse(Error::inval, "{} was not offered", nbd::name(request.type));
    }
    if (request.type == Command::flush) {
        if (request.offset != 0 || request.length != 0) {
            return refuse(Error::inval, "offset and length of NBD_CMD_FLUSH are reserved and must be 0");
        }
        return std::nullopt;
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
    if (auto refusal = check_range(request.type, request.offset, request.length, agreement)) {
        return refusal;
    }
    return check_length(request, agreement);
}

} // namespace refserver
