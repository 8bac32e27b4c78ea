// Request message, command flags and request types: what clients send in the transmission phase, and how
// they leave.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace wire {
namespace {

using nbd::Command;
namespace asked = nbd::command_flag;
namespace offered = nbd::transmission_flag;

constexpr std::uint64_t largest_read = std::numeric_limits<std::uint32_t>::max();

/// The flags of the base protocol; those of the RESIZE extension have rules of their own.
constexpr std::uint16_t known_flags =
    asked::fua | asked::no_hole | asked::df | asked::req_one | asked::fast_zero | asked::payload_len;
constexpr std::uint16_t resize_flags = asked::extend | asked::query | asked::notify | asked::cancel;

/// Commands with an offset and a length in the export.
bool has_range(const RequestEvent& event) {
    switch (event.request().type) {
    case Command::read:
    case Command::write:
    case Command::trim:
    case Command::cache:
    case Command::write_zeroes:
    case Command::block_status:
        return true;
    default:
        return false;
    }
}

bool writes(const RequestEvent& event) {
    return event.is(Command::write) || event.is(Command::write_zeroes) || event.is(Command::trim);
}

/// A write that is to make the export longer (RESIZE).
bool extends(const RequestEvent& event) {
    const bool can =
        (event.is(Command::write) || event.is(Command::write_zeroes)) &&
        (event.state.can_resize(nbd::resize_capability::automatic_implicit) ||
         (event.has(asked::extend) && event.state.can_resize(nbd::resize_capability::automatic)));
    return can;
}

/// A command is sent although the flag that offers it is clear.
Wrong not_offered(const RequestEvent& event, Command command, std::uint16_t flag,
                  std::string_view flag_name) {
    return event.is(command) && !event.state.has(flag) ? fmt::format("{} is clear", flag_name) : Wrong();
}

/// A command flag is set although the transmission flag that offers it is clear.
Wrong flag_not_offered(const RequestEvent& event, std::uint16_t flag, std::uint16_t offer,
                       std::string_view offer_name) {
    return event.has(flag) && !event.state.has(offer) ? fmt::format("{} is clear", offer_name) : Wrong();
}

/// A command flag is set on a command for which it is not documented.
Wrong flag_misplaced(const RequestEvent& event, std::uint16_t flag, bool belongs) {
    return event.has(flag) && !belongs
               ? fmt::format("{} on {}", nbd::command_flag_names(flag), nbd::name(event.request().type))
               : Wrong();
}

/// The fields of a command that has no range are not 0.
Wrong not_zero(const RequestEvent& event, Command command) {
    const nbd::Request& request = event.request();
    return event.is(command) && (request.offset != 0 || request.length != 0)
               ? fmt::format("offset {} and length {}", request.offset, request.length)
               : Wrong();
}

Wrong beyond_the_end(const RequestEvent& event) {
    if (!has_range(event) || extends(event)) {
        return {};
    }
    const std::uint64_t size = event.state.largest_size;
    return event.request().offset > size || event.open.effect > size - event.request().offset
               ? fmt::format("{} bytes from {} on, the export has {}", event.open.effect,
                             event.request().offset, size)
               : Wrong();
}

Wrong misaligned(const RequestEvent& event) {
    // Block sizes that the client did not ask for are no promise of the client's.
    if (!has_range(event) || !event.state.entered->asked_block) {
        return {};
    }
    const std::uint32_t block = event.state.min_block();
    return event.request().offset % block != 0 || event.open.effect % block != 0
               ? fmt::format("{} bytes from {} on, the minimum block size is {}", event.open.effect,
                             event.request().offset, block)
               : Wrong();
}

/// The client controls how many bytes the payload has, in either direction.
bool controls_payload(const RequestEvent& event) {
    return event.is(Command::write) || (event.is(Command::read) && !event.state.chunks());
}

constexpr Rule<RequestEvent> rules[] = {
    {"COOKIE-DISTINCT",
     [](const RequestEvent& event) {
         return when(event.cookie_in_use, "an open request has the same cookie");
     },
     recommended},
    {"COMMAND-KNOWN",
     [](const RequestEvent& event) {
         return event.request().type > Command::resize
                    ? fmt::format("command {}", static_cast<unsigned>(event.request().type))
                    : Wrong();
     }},
    {"COMMAND-FLAGS-KNOWN",
     [](const RequestEvent& event) {
         return unknown_bits("command flags", event.request().flags, known_flags | resize_flags);
     }},
    {"FUA-OFFERED",
     [](const RequestEvent& event) {
         return flag_not_offered(event, asked::fua, offered::send_fua, "NBD_FLAG_SEND_FUA");
     }},
    {"FUA-WRITES",
     [](const RequestEvent& event) {
         return flag_misplaced(event, asked::fua, writes(event) || event.is(Command::resize));
     },
     recommended},
    {"NO-HOLE-PLACE",
     [](const RequestEvent& event) {
         return flag_misplaced(event, asked::no_hole,
                               event.is(Command::write_zeroes) || event.is(Command::resize));
     }},
    {"DF-OFFERED",
     [](const RequestEvent& event) {
         return flag_not_offered(event, asked::df, offered::send_df, "NBD_FLAG_SEND_DF");
     }},
    {"DF-PLACE",
     [](const RequestEvent& event) { return flag_misplaced(event, asked::df, event.is(Command::read)); }},
    {"REQ-ONE-PLACE",
     [](const RequestEvent& event) {
         return flag_misplaced(event, asked::req_one, event.is(Command::block_status));
     }},
    {"FAST-ZERO-OFFERED",
     [](const RequestEvent& event) {
         return flag_not_offered(event, asked::fast_zero, offered::send_fast_zero, "NBD_FLAG_SEND_FAST_ZERO");
     }},
    {"FAST-ZERO-PLACE",
     [](const RequestEvent& event) {
         return flag_misplaced(event, asked::fast_zero, event.is(Command::write_zeroes));
     }},
    {"PAYLOAD-LEN-EXTENDED",
     [](const RequestEvent& event) {
         return when(event.has(asked::payload_len) && !event.state.extended,
                     "NBD_CMD_FLAG_PAYLOAD_LEN is set, but extended headers are not agreed");
     }},
    {"PAYLOAD-LEN-WRITE",
     [](const RequestEvent& event) {
         return when(event.state.extended && event.is(Command::write) && !event.has(asked::payload_len),
                     "NBD_CMD_FLAG_PAYLOAD_LEN is clear");
     }},
    {"PAYLOAD-LEN-PLACE",
     [](const RequestEvent& event) {
         return event.state.extended
                    ? flag_misplaced(event, asked::payload_len,
                                     event.is(Command::write) || event.is(Command::block_status) ||
                                         event.is(Command::resize))
                    : Wrong();
     }},
    {"STATUS-PAYLOAD-OFFERED",
     [](const RequestEvent& event) {
         return when(event.state.extended && event.is(Command::block_status) &&
                         event.has(asked::payload_len) && !event.state.has(offered::block_status_payload),
                     "NBD_FLAG_BLOCK_STATUS_PAYLOAD is clear");
     },
     recommended},
    {"STATUS-PAYLOAD-LAYOUT",
     [](const RequestEvent& event) {
         return when(event.query_malformed, fmt::format("{} bytes of payload", event.request().length));
     }},
    {"REQUEST-IN-BOUNDS", beyond_the_end},
    {"REQUEST-ALIGNED", misaligned},
    {"REQUEST-PAYLOAD",
     [](const RequestEvent& event) {
         return controls_payload(event) && event.state.entered->block &&
                        event.request().length > event.state.max_payload()
                    ? fmt::format("{} bytes, the maximum payload is {}", event.request().length,
                                  event.state.max_payload())
                    : Wrong();
     }},
    {"REQUEST-PAYLOAD-DEFAULT",
     [](const RequestEvent& event) {
         return (event.is(Command::write) || event.is(Command::read)) && !event.state.entered->block &&
                        event.request().length > nbd::default_max_payload
                    ? fmt::format("{} bytes, no maximum payload was told", event.request().length)
                    : Wrong();
     },
     recommended},
    {"REQUEST-NOT-EMPTY",
     [](const RequestEvent& event) {
         return when(has_range(event) && !event.is(Command::cache) && event.open.effect == 0,
                     "the length is 0");
     },
     recommended},
    {"READ-LENGTH",
     [](const RequestEvent& event) {
         return event.is(Command::read) && event.request().length > largest_read
                    ? fmt::format("{} bytes", event.request().length)
                    : Wrong();
     },
     recommended},
    {"DISC-ZERO", [](const RequestEvent& event) { return not_zero(event, Command::disc); }},
    {"DISC-SETTLED",
     [](const RequestEvent& event) {
         const std::size_t open = event.state.unanswered();
         return event.is(Command::disc) && open > 0 ? fmt::format("{} requests are not answered", open)
                                                    : Wrong();
     },
     recommended},
    {"FLUSH-OFFERED",
     [](const RequestEvent& event) {
         return not_offered(event, Command::flush, offered::send_flush, "NBD_FLAG_SEND_FLUSH");
     }},
    {"FLUSH-ZERO", [](const RequestEvent& event) { return not_zero(event, Command::flush); }},
    {"TRIM-OFFERED",
     [](const RequestEvent& event) {
         return not_offered(event, Command::trim, offered::send_trim, "NBD_FLAG_SEND_TRIM");
     }},
    {"WRITE-ZEROES-OFFERED",
     [](const RequestEvent& event) {
         return not_offered(event, Command::write_zeroes, offered::send_write_zeroes,
                            "NBD_FLAG_SEND_WRITE_ZEROES");
     }},
    {"STATUS-SELECTED",
     [](const RequestEvent& event) {
         return when(event.is(Command::block_status) && event.state.entered->contexts.empty(),
                     "no metadata context is selected for this export");
     }},
};

constexpr Rule<EndEvent> ends[] = {
    {"HAGGLING-SOFT-END",
     [](const EndEvent& event) {
         const State& state = event.state;
         const bool answered_flags = state.phase == Phase::haggling;
         return when(event.by == Side::client && answered_flags && state.fixed() && !state.aborted &&
                         !state.ended_by(Side::server) && !state.broken_by(Side::server),
                     "the client is gone without NBD_OPT_ABORT");
     }},
    {"HAGGLING-NO-HANG-UP",
     [](const EndEvent& event) {
         const State& state = event.state;
         const bool unwilling = state.option && (state.option->option == nbd::Option::export_name ||
                                                 state.option->option == nbd::Option::abort);
         // Without fixed newstyle there are no replies by which to refuse an option.
         return when(event.by == Side::server && state.phase == Phase::haggling && state.fixed() &&
                         !unwilling && !state.aborted && !state.ended_by(Side::client) &&
                         !state.broken_by(Side::client),
                     "the server is gone, although an error could have been answered");
     }},
    {"CLIENT-SOFT-END",
     [](const EndEvent& event) {
         const State& state = event.state;
         // An oldstyle server asks nothing before it tells what it has, and a client that does not like that
         // leaves (Oldstyle negotiation).
         const bool turns_back =
             state.entered && state.entered->telling == Telling::oldstyle && state.requests == 0;
         return when(event.by == Side::client && state.phase == Phase::transmission && !state.disconnecting &&
                         !turns_back && !state.shut_down && !state.ended_by(Side::server) &&
                         !state.broken_by(Side::server),
                     "the client is gone without NBD_CMD_DISC");
     }},
    {"SHUTDOWN-DISC",
     [](const EndEvent& event) {
         const State& state = event.state;
         return when(event.by == Side::client && state.phase == Phase::transmission && !state.disconnecting &&
                         state.shut_down && !state.ended_by(Side::server) && !state.broken_by(Side::server),
                     "the client is gone without NBD_CMD_DISC after NBD_ESHUTDOWN");
     }},
    {"SERVER-NO-HANG-UP",
     [](const EndEvent& event) {
         const State& state = event.state;
         return when(event.by == Side::server && state.phase == Phase::transmission && !state.disconnecting &&
                         !state.shut_down && !state.huge_payload && !state.read_failed && !event.in_read &&
                         !state.ended_by(Side::client) && !state.broken_by(Side::client),
                     "the server is gone without a reason");
     }},
    {"DISC-OUTSTANDING",
     [](const EndEvent& event) {
         const State& state = event.state;
         const std::size_t open = state.unanswered();
         return event.by == Side::server && state.disconnecting && open > 0 &&
                        !state.ended_by(Side::client) && !state.broken_by(Side::client)
                    ? fmt::format("{} requests were not answered", open)
                    : Wrong();
     }},
};

} // namespace

std::span<const Rule<RequestEvent>> request_rules() {
    return rules;
}

std::span<const Rule<EndEvent>> end_rules() {
    return ends;
}

} // namespace wire
