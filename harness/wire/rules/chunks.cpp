// Structured reply types: the chunks that servers answer with.

#include "harness/wire/rule.hpp"
#include "harness/wire/rules/errors.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace wire {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;
namespace asked = nbd::command_flag;

constexpr std::uint64_t shortest_error = 6;
constexpr std::uint64_t shortest_error_offset = 14;
constexpr std::uint64_t largest_extended_context = std::numeric_limits<std::uint32_t>::max();

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

/// The offset is none of the request's; a request for bytes beyond 2^64 has those up to there.
bool no_byte_of(const OpenRequest& open, std::uint64_t offset) {
    return offset < open.request.offset || offset - open.request.offset >= open.effect;
}

/// The chunk has the status of an area; what a server does about an empty one is not specified.
bool answers_status(const ChunkEvent& event) {
    return event.status && event.to(Command::block_status) && event.open->effect > 0;
}

/// The last extent is no multiple of the minimum block size, but neither is the export, with which it ends.
bool odd_end(const ChunkEvent& event) {
    const StatusContent& status = *event.status;
    if (event.open == nullptr || status.last % event.state.min_block() == 0) {
        return false;
    }
    const std::uint64_t size = event.state.largest_size;
    const std::uint64_t offset = event.open->request.offset;
    return offset <= size && status.sum_without_last <= size - offset &&
           status.last == size - offset - status.sum_without_last;
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
                                  event.content->length, event.content->offset, event.open->effect,
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
         if (!answers_status(event) || !event.open->has(asked::req_one)) {
             return Wrong();
         }
         if (event.status->extents > 1) {
             return fmt::format("{} extents", event.status->extents);
         }
         return event.status->last > event.open->effect
                    ? fmt::format("an extent of {} bytes, the request was for {}", event.status->last,
                                  event.open->effect)
                    : Wrong();
     }},
    {"STATUS-SUM",
     [](const ChunkEvent& event) {
         return answers_status(event) && !event.open->has(asked::req_one) && event.status->extents > 1 &&
                        event.status->sum_without_last >= event.open->effect
                    ? fmt::format("all extents but the last have {} bytes, the request was for {}",
                                  event.status->sum_without_last, event.open->effect)
                    : Wrong();
     }},
    {"STATUS-ALIGNED",
     [](const ChunkEvent& event) {
         if (!event.status || event.status->misaligned == 0) {
             return Wrong();
         }
         const std::uint64_t wrong = event.status->misaligned - (odd_end(event) ? 1U : 0U);
         return wrong > 0 ? fmt::format("{} extents are no multiple of the minimum block size {}", wrong,
                                        event.state.min_block())
                          : Wrong();
     },
     recommended},
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
    {"ERROR-LAYOUT",
     [](const ChunkEvent& event) {
         const bool other_error = nbd::is_error(event.chunk.type) && !event.is(ChunkType::error) &&
                                  !event.is(ChunkType::error_offset);
         return when(other_error && (event.chunk.length < shortest_error || event.malformed),
                     "there is no room for the message that is announced");
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
                        no_byte_of(*event.open, *event.error->offset)
                    ? fmt::format("the error is at {}, the request was for {} bytes from {} on",
                                  *event.error->offset, event.open->effect, event.open->request.offset)
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

} // namespace

std::span<const Rule<ChunkEvent>> chunk_rules() {
    return chunk_table;
}

} // namespace wire
