// Reply messages and error values: simple replies, and replies as a whole.

#include "harness/wire/rule.hpp"
#include "harness/wire/rules/errors.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wire {
namespace {

using nbd::Command;
using nbd::Error;
namespace asked = nbd::command_flag;
namespace offered = nbd::transmission_flag;

constexpr Rule<SimpleReplyEvent> simple_rules[] = {
    {"REPLY-COOKIE",
     [](const SimpleReplyEvent& event) {
         return event.open == nullptr ? fmt::format("no open request has the cookie {}", event.reply.cookie)
                                      : Wrong();
     }},
    {"EXTENDED-NO-SIMPLE",
     [](const SimpleReplyEvent& event) { return when(event.state.extended, "extended headers are agreed"); }},
    {"READ-NO-SIMPLE",
     [](const SimpleReplyEvent& event) {
         return when(event.state.structured && !event.state.extended && event.open != nullptr &&
                         event.open->is(Command::read),
                     "structured replies are agreed");
     }},
    {"STATUS-NO-SIMPLE",
     [](const SimpleReplyEvent& event) {
         return when(event.open != nullptr && event.open->is(Command::block_status) &&
                         event.reply.error == Error::none,
                     "a successful block status has no status in it");
     }},
    {"ERROR-VALUE", [](const SimpleReplyEvent& event) { return unknown_error(event.reply.error); }},
    {"REPLY-COMPLETE",
     [](const SimpleReplyEvent& event) {
         return when(event.open != nullptr && event.open->chunks > 0,
                     "chunks of the reply to this request came before");
     }},
};

/// True if the request goes beyond every size that the export is known to have had, so that nothing but the
/// end of the export can be meant by an error.
bool beyond_the_end(const ReplyEvent& event) {
    return event.open.effect > 0 && event.open.end() > event.state.largest_size && !event.state.size_moved;
}

/// The error has a cause besides the end of the export.
bool explained(const ReplyEvent& event) {
    constexpr std::uint16_t documented =
        asked::fua | asked::no_hole | asked::df | asked::req_one | asked::fast_zero | asked::payload_len;
    const nbd::Request& request = event.open.request;
    switch (*event.open.error) {
    case Error::inval:
        return request.offset % event.state.min_block() != 0 ||
               event.open.effect % event.state.min_block() != 0 ||
               event.open.effect > event.state.max_payload() || event.open.end() > nbd::max_resize ||
               (request.flags & ~documented) != 0;
    case Error::overflow:
        return event.open.effect > event.state.max_payload();
    case Error::notsup:
        return event.has(asked::fast_zero);
    case Error::shutdown:
        return true;
    default:
        return false;
    }
}

/// A request beyond the end failed with another error than the one that the specification names.
Wrong other_error_past_end(const ReplyEvent& event, Command command, Error wanted) {
    return event.is(command) && event.failed() && !event.failed_with(wanted) && beyond_the_end(event) &&
                   !event.state.has(offered::read_only) && !explained(event)
               ? fmt::format("a request beyond the end was answered by {}", nbd::name(*event.open.error))
               : Wrong();
}

bool writes(const ReplyEvent& event) {
    return event.is(Command::write) || event.is(Command::write_zeroes) || event.is(Command::trim);
}

constexpr Rule<ReplyEvent> reply_table[] = {
    {"READ-COVERED",
     [](const ReplyEvent& event) {
         return when(event.is(Command::read) && !event.simple && !event.failed() &&
                         !event.open.content_unknown &&
                         !event.open.content.covers(event.open.request.offset, event.open.end()),
                     "the chunks do not cover all of the request, but there was no error");
     }},
    {"DF-64K",
     [](const ReplyEvent& event) {
         return event.is(Command::read) && event.has(asked::df) && event.failed_with(Error::overflow) &&
                        event.open.effect <= nbd::min_df_read && event.state.has(offered::send_df)
                    ? fmt::format("a read of {} bytes was too large", event.open.effect)
                    : Wrong();
     }},
    {"DF-OVERFLOW-EMPTY",
     [](const ReplyEvent& event) {
         return when(event.is(Command::read) && event.has(asked::df) && event.failed_with(Error::overflow) &&
                         event.open.content_chunks > 0,
                     "content came with NBD_EOVERFLOW");
     }},
    {"STATUS-ALL-CONTEXTS",
     [](const ReplyEvent& event) {
         if (!event.is(Command::block_status) || event.simple || event.failed()) {
             return Wrong();
         }
         const std::size_t wanted = event.open.wanted_contexts ? event.open.wanted_contexts->size()
                                                               : event.state.entered->contexts.size();
         return event.open.contexts.size() < wanted
                    ? fmt::format("the status of {} contexts came, {} are selected",
                                  event.open.contexts.size(), wanted)
                    : Wrong();
     }},
    {"READ-ONLY-REFUSED",
     [](const ReplyEvent& event) {
         return when(writes(event) && !event.failed() && event.state.has(offered::read_only) &&
                         event.open.effect > 0,
                     "NBD_FLAG_READ_ONLY is set, but it succeeded");
     }},
    {"READ-ONLY-EPERM",
     [](const ReplyEvent& event) {
         return writes(event) && event.failed() && !event.failed_with(Error::perm) &&
                        event.state.has(offered::read_only) && !event.open.against_rules
                    ? fmt::format("the error is {}", nbd::name(*event.open.error))
                    : Wrong();
     },
     recommended},
    {"READ-PAST-END",
     [](const ReplyEvent& event) { return other_error_past_end(event, Command::read, Error::inval); },
     recommended},
    {"WRITE-PAST-END",
     [](const ReplyEvent& event) { return other_error_past_end(event, Command::write, Error::nospc); },
     recommended},
    {"TRIM-PAST-END",
     [](const ReplyEvent& event) { return other_error_past_end(event, Command::trim, Error::inval); },
     recommended},
    {"ZEROES-PAST-END",
     [](const ReplyEvent& event) { return other_error_past_end(event, Command::write_zeroes, Error::nospc); },
     recommended},
    {"STATUS-PAST-END",
     [](const ReplyEvent& event) { return other_error_past_end(event, Command::block_status, Error::inval); },
     recommended},
    {"STATUS-UNSELECTED",
     [](const ReplyEvent& event) {
         return when(event.is(Command::block_status) && event.state.entered->contexts.empty() &&
                         !event.failed_with(Error::inval),
                     event.failed() ? "it failed with another error" : "it succeeded");
     },
     recommended},
    {"COMMAND-REFUSED",
     [](const ReplyEvent& event) {
         return when(event.open.request.type > Command::resize && !event.failed_with(Error::inval),
                     event.failed() ? "it failed with another error" : "it succeeded");
     },
     recommended},
    {"COMMAND-FLAG-REFUSED",
     [](const ReplyEvent& event) {
         constexpr std::uint16_t undefined = 0xfc00;
         return when((event.open.request.flags & undefined) != 0 && !event.failed_with(Error::inval),
                     event.failed() ? "it failed with another error" : "it succeeded");
     },
     recommended},
    {"OVERFLOW-PLACE",
     [](const ReplyEvent& event) {
         const bool too_long = event.open.effect > event.state.max_payload();
         const bool unfragmented = event.is(Command::read) && event.has(asked::df);
         return when(event.failed_with(Error::overflow) && !too_long && !unfragmented,
                     "neither NBD_CMD_FLAG_DF nor a length above the maximum payload");
     },
     recommended},
    {"NOTSUP-PLACE",
     [](const ReplyEvent& event) {
         return when(event.failed_with(Error::notsup) && !event.has(asked::fast_zero),
                     "NBD_CMD_FLAG_FAST_ZERO is clear");
     },
     recommended},
    {"FAST-ZERO-UNASKED",
     [](const ReplyEvent& event) {
         return when(event.is(Command::write_zeroes) && event.failed_with(Error::notsup) &&
                         !event.has(asked::fast_zero) && event.state.has(offered::send_fast_zero),
                     "NBD_FLAG_SEND_FAST_ZERO is set, NBD_CMD_FLAG_FAST_ZERO is clear");
     }},
};

} // namespace

std::span<const Rule<SimpleReplyEvent>> simple_reply_rules() {
    return simple_rules;
}

std::span<const Rule<ReplyEvent>> reply_rules() {
    return reply_table;
}

} // namespace wire
