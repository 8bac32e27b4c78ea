// Reply messages, structured reply types and error values: what servers answer in the transmission phase.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace wire {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;
namespace asked = nbd::command_flag;
namespace offered = nbd::transmission_flag;

constexpr std::array known_errors{Error::none,  Error::perm,     Error::io,     Error::nomem,   Error::inval,
                                  Error::nospc, Error::overflow, Error::notsup, Error::shutdown};
constexpr std::uint64_t shortest_error = 6;
constexpr std::uint64_t shortest_error_offset = 14;
constexpr std::uint64_t largest_extended_context = std::numeric_limits<std::uint32_t>::max();

Wrong unknown_error(Error error) {
    return std::ranges::find(known_errors, error) == known_errors.end()
               ? fmt::format("the error is {}", static_cast<std::uint32_t>(error))
               : Wrong();
}

/// A chunk of this type belongs to a request for which it is not valid.
Wrong misplaced(const ChunkEvent& event, ChunkType type, bool valid) {
    return event.is(type) && event.open != nullptr && !valid
               ? fmt::format("{} answers {}", nbd::name(type), nbd::name(event.open->request.type))
               : Wrong();
}

/// The length of a chunk of this type is none that it can have.
Wrong wrong_length(const ChunkEvent& event, ChunkType type, bool possible) {
    return event.is(type) && !possible ? fmt::format("the length is {}", event.chunk.length) : Wrong();
}

/// True if the metadata context of the chunk's status is base:allocation.
bool is_allocation(const ChunkEvent& event) {
    if (!event.status || !event.state.entered) {
        return false;
    }
    const auto found = event.state.entered->contexts.find(event.status->context);
    return found != event.state.entered->contexts.end() && found->second == nbd::base_allocation;
}

bool outside(const OpenRequest& open, std::uint64_t offset, std::uint64_t length) {
    return offset < open.request.offset || offset > open.end() || length > open.end() - offset;
}

/// The number of bytes of a chunk that vary, which the maximum payload bounds.
std::uint64_t variable_part(const ChunkEvent& event) {
    switch (event.chunk.type) {
    case ChunkType::offset_data:
        return event.content ? event.content->length : 0;
    case ChunkType::block_status:
        return event.chunk.length - std::min<std::uint64_t>(event.chunk.length, 4);
    case ChunkType::block_status_ext:
        return event.chunk.length - std::min<std::uint64_t>(event.chunk.length, 8);
    default:
        return 0;
    }
}

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

constexpr Rule<ChunkEvent> chunk_table[] = {
    {"REPLY-COOKIE",
     [](const ChunkEvent& event) {
         return event.open == nullptr ? fmt::format("no open request has the cookie {}", event.chunk.cookie)
                                      : Wrong();
     }},
    {"CHUNK-NEGOTIATED",
     [](const ChunkEvent& event) {
         return when(!event.extended && !event.state.structured && !event.state.extended,
                     "structured replies are not agreed");
     }},
    {"EXTENDED-NEGOTIATED",
     [](const ChunkEvent& event) {
         return when(event.extended && !event.state.extended, "extended headers are not agreed");
     }},
    {"EXTENDED-NO-COMPACT",
     [](const ChunkEvent& event) {
         return when(!event.extended && event.state.extended, "extended headers are agreed");
     }},
    {"EXTENDED-OFFSET",
     [](const ChunkEvent& event) {
         return event.extended && event.open != nullptr && event.chunk.offset != event.open->request.offset
                    ? fmt::format("the offset is {}, that of the request {}", event.chunk.offset,
                                  event.open->request.offset)
                    : Wrong();
     }},
    {"CHUNK-FLAGS",
     [](const ChunkEvent& event) {
         return unknown_bits("reply flags", event.chunk.flags, nbd::reply_flag::done);
     }},
    {"CHUNK-TYPE",
     [](const ChunkEvent& event) {
         const auto type = static_cast<unsigned>(event.chunk.type);
         const bool known = event.is(ChunkType::none) || event.is(ChunkType::offset_data) ||
                            event.is(ChunkType::offset_hole) || event.is(ChunkType::block_status) ||
                            event.is(ChunkType::block_status_ext) || event.is(ChunkType::resize) ||
                            nbd::is_error(event.chunk.type);
         return known ? Wrong() : fmt::format("the type is {}", type);
     }},
    {"CHUNK-PAYLOAD",
     [](const ChunkEvent& event) {
         return event.state.entered->block && variable_part(event) > event.state.max_payload()
                    ? fmt::format("{} bytes, the maximum payload is {}", variable_part(event),
                                  event.state.max_payload())
                    : Wrong();
     }},
    {"NONE-DONE",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::none) && !event.chunk.done(), "NBD_REPLY_FLAG_DONE is clear");
     }},
    {"NONE-LENGTH",
     [](const ChunkEvent& event) { return wrong_length(event, ChunkType::none, event.chunk.length == 0); }},
    {"DATA-PLACE",
     [](const ChunkEvent& event) {
         return misplaced(event, ChunkType::offset_data, event.to(Command::read));
     }},
    {"DATA-LENGTH",
     [](const ChunkEvent& event) {
         return wrong_length(event, ChunkType::offset_data,
                             event.chunk.length > nbd::wire_size<nbd::OffsetData>);
     }},
    {"HOLE-PLACE",
     [](const ChunkEvent& event) {
         return misplaced(event, ChunkType::offset_hole, event.to(Command::read));
     }},
    {"HOLE-LENGTH",
     [](const ChunkEvent& event) {
         return wrong_length(event, ChunkType::offset_hole,
                             event.chunk.length == nbd::wire_size<nbd::OffsetHole>);
     }},
    {"HOLE-NOT-EMPTY",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::offset_hole) && event.content && event.content->length == 0,
                     "the hole has no bytes");
     }},
    {"CONTENT-IN-REQUEST",
     [](const ChunkEvent& event) {
         return event.content && event.to(Command::read) &&
                        outside(*event.open, event.content->offset, event.content->length)
                    ? fmt::format("{} bytes from {} on, the request was for {} from {} on",
                                  event.content->length, event.content->offset, event.open->effect(),
                                  event.open->request.offset)
                    : Wrong();
     }},
    {"CONTENT-ONCE",
     [](const ChunkEvent& event) {
         return event.content && event.content->overlaps
                    ? fmt::format("{} bytes from {} on, some of which came before", event.content->length,
                                  event.content->offset)
                    : Wrong();
     }},
    {"CONTENT-BEFORE-ERROR",
     [](const ChunkEvent& event) {
         if (!event.content || event.open == nullptr) {
             return Wrong();
         }
         const auto& errors = event.open->error_offsets;
         const auto found = errors.lower_bound(event.content->offset);
         return found != errors.end() && *found - event.content->offset < event.content->length
                    ? fmt::format("an error at {} came before", *found)
                    : Wrong();
     }},
    {"DF-ONE-CHUNK",
     [](const ChunkEvent& event) {
         return when(event.content && event.to(Command::read) && event.open->has(asked::df) &&
                         event.open->content_chunks > 0,
                     "another content chunk came before");
     }},
    {"STATUS-PLACE",
     [](const ChunkEvent& event) {
         const Wrong compact = misplaced(event, ChunkType::block_status, event.to(Command::block_status));
         return compact.empty()
                    ? misplaced(event, ChunkType::block_status_ext, event.to(Command::block_status))
                    : compact;
     }},
    {"STATUS-COMPACT",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::block_status) && event.state.extended,
                     "extended headers are agreed");
     }},
    {"STATUS-EXTENDED",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::block_status_ext) && !event.state.extended,
                     "extended headers are not agreed");
     }},
    {"STATUS-LENGTH",
     [](const ChunkEvent& event) { return wrong_length(event, ChunkType::block_status, !event.malformed); }},
    {"STATUS-EXT-LENGTH",
     [](const ChunkEvent& event) {
         return wrong_length(event, ChunkType::block_status_ext, !event.malformed);
     }},
    {"STATUS-EXT-COUNT",
     [](const ChunkEvent& event) {
         return event.is(ChunkType::block_status_ext) && event.status &&
                        event.status->announced != event.status->extents
                    ? fmt::format("{} extents were announced, {} came", event.status->announced,
                                  event.status->extents)
                    : Wrong();
     }},
    {"STATUS-NOT-EMPTY",
     [](const ChunkEvent& event) {
         return event.status && event.status->empty > 0
                    ? fmt::format("{} extents have a length of 0", event.status->empty)
                    : Wrong();
     }},
    {"STATUS-CONTEXT",
     [](const ChunkEvent& event) {
         return event.status && event.to(Command::block_status) &&
                        !event.state.entered->contexts.contains(event.status->context)
                    ? fmt::format("the context {} is not selected", event.status->context)
                    : Wrong();
     }},
    {"STATUS-CONTEXT-WANTED",
     [](const ChunkEvent& event) {
         return event.status && event.to(Command::block_status) && event.open->wanted_contexts &&
                        std::ranges::find(*event.open->wanted_contexts, event.status->context) ==
                            event.open->wanted_contexts->end()
                    ? fmt::format("the context {} was not asked for", event.status->context)
                    : Wrong();
     }},
    {"STATUS-ONE-CHUNK",
     [](const ChunkEvent& event) {
         return event.status && event.open != nullptr && event.open->contexts.contains(event.status->context)
                    ? fmt::format("a chunk for the context {} came before", event.status->context)
                    : Wrong();
     }},
    {"STATUS-REQ-ONE",
     [](const ChunkEvent& event) {
         if (!event.status || !event.to(Command::block_status) || !event.open->has(asked::req_one)) {
             return Wrong();
         }
         if (event.status->extents > 1) {
             return fmt::format("{} extents", event.status->extents);
         }
         return event.status->last > event.open->effect()
                    ? fmt::format("an extent of {} bytes, the request was for {}", event.status->last,
                                  event.open->effect())
                    : Wrong();
     }},
    {"STATUS-SUM",
     [](const ChunkEvent& event) {
         return event.status && event.to(Command::block_status) && !event.open->has(asked::req_one) &&
                        event.status->extents > 1 && event.status->sum_without_last >= event.open->effect()
                    ? fmt::format("all extents but the last have {} bytes, the request was for {}",
                                  event.status->sum_without_last, event.open->effect())
                    : Wrong();
     }},
    {"STATUS-ALIGNED",
     [](const ChunkEvent& event) {
         return event.status && event.status->misaligned > 0
                    ? fmt::format("{} extents are no multiple of the minimum block size {}",
                                  event.status->misaligned, event.state.min_block())
                    : Wrong();
     }},
    {"STATUS-MANY",
     [](const ChunkEvent& event) {
         return event.status && event.status->extents > nbd::max_status_descriptors
                    ? fmt::format("{} extents", event.status->extents)
                    : Wrong();
     },
     recommended},
    {"ALLOCATION-RESERVED",
     [](const ChunkEvent& event) {
         return is_allocation(event)
                    ? unknown_bits("status flags", event.status->reserved_bits & largest_extended_context, 0)
                    : Wrong();
     },
     recommended},
    {"ALLOCATION-32-BITS",
     [](const ChunkEvent& event) {
         return is_allocation(event)
                    ? unknown_bits("status flags", event.status->reserved_bits, largest_extended_context)
                    : Wrong();
     }},
    {"ERROR-LENGTH",
     [](const ChunkEvent& event) {
         return wrong_length(event, ChunkType::error,
                             event.chunk.length >= shortest_error && !event.malformed);
     }},
    {"ERROR-OFFSET-LENGTH",
     [](const ChunkEvent& event) {
         return wrong_length(event, ChunkType::error_offset,
                             event.chunk.length >= shortest_error_offset && !event.malformed);
     }},
    {"ERROR-NOT-ZERO",
     [](const ChunkEvent& event) {
         return when(event.error && event.error->error == Error::none, "the error is 0");
     }},
    {"ERROR-VALUE",
     [](const ChunkEvent& event) { return event.error ? unknown_error(event.error->error) : Wrong(); }},
    {"STRING-LENGTH",
     [](const ChunkEvent& event) {
         return event.error && event.error->message.size() > nbd::max_string
                    ? fmt::format("a message of {} bytes", event.error->message.size())
                    : Wrong();
     }},
    {"STRING-NO-NUL",
     [](const ChunkEvent& event) {
         return when(event.error && has_nul(event.error->message), "a message has a NUL in it");
     }},
    {"STRING-UTF8",
     [](const ChunkEvent& event) {
         return when(event.error && !is_utf8(event.error->message), "a message is no UTF-8");
     }},
    {"ERROR-ONCE",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::error) && event.open != nullptr && event.open->plain_errors > 0,
                     "another NBD_REPLY_TYPE_ERROR came before");
     },
     recommended},
    {"ERROR-OFFSET-PLACE",
     [](const ChunkEvent& event) {
         const bool ranged = event.open != nullptr && event.open->request.type != Command::flush &&
                             event.open->request.type < Command::resize;
         return misplaced(event, ChunkType::error_offset, ranged);
     }},
    {"ERROR-OFFSET-IN-REQUEST",
     [](const ChunkEvent& event) {
         return event.error && event.error->offset && event.open != nullptr &&
                        outside(*event.open, *event.error->offset, 1)
                    ? fmt::format("the error is at {}, the request was for {} bytes from {} on",
                                  *event.error->offset, event.open->effect(), event.open->request.offset)
                    : Wrong();
     }},
    {"ERROR-OFFSET-ONCE",
     [](const ChunkEvent& event) {
         return event.error && event.error->offset && event.open != nullptr &&
                        event.open->error_offsets.contains(*event.error->offset)
                    ? fmt::format("an error at {} came before", *event.error->offset)
                    : Wrong();
     },
     recommended},
    {"ERRORS-NOT-MIXED",
     [](const ChunkEvent& event) {
         const bool mixed =
             event.open != nullptr && ((event.is(ChunkType::error) && !event.open->error_offsets.empty()) ||
                                       (event.is(ChunkType::error_offset) && event.open->plain_errors > 0));
         return when(mixed, "errors with and without an offset are in one reply");
     },
     recommended},
};

/// True if the request goes beyond every size that the export is known to have had, so that nothing but the
/// end of the export can be meant by an error.
bool beyond_the_end(const ReplyEvent& event) {
    return event.open.effect() > 0 && event.open.end() > event.state.largest_size && !event.state.size_moved;
}

/// The error has a cause besides the end of the export.
bool explained(const ReplyEvent& event) {
    constexpr std::uint16_t documented =
        asked::fua | asked::no_hole | asked::df | asked::req_one | asked::fast_zero | asked::payload_len;
    const nbd::Request& request = event.open.request;
    switch (*event.open.error) {
    case Error::inval:
        return request.offset % event.state.min_block() != 0 ||
               event.open.effect() % event.state.min_block() != 0 ||
               event.open.effect() > event.state.max_payload() || event.open.end() > nbd::max_resize ||
               (request.flags & ~documented) != 0;
    case Error::overflow:
        return event.open.effect() > event.state.max_payload();
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
                        event.open.effect() <= nbd::min_df_read && event.state.has(offered::send_df)
                    ? fmt::format("a read of {} bytes was too large", event.open.effect())
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
                         event.open.effect() > 0,
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
         const bool too_long = event.open.effect() > event.state.max_payload();
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

std::span<const Rule<ChunkEvent>> chunk_rules() {
    return chunk_table;
}

std::span<const Rule<ReplyEvent>> reply_rules() {
    return reply_table;
}

} // namespace wire
