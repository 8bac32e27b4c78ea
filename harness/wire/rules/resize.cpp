// The RESIZE extension: docs/resize-extension.md.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace wire {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;
using nbd::InfoType;
namespace asked = nbd::command_flag;
namespace can = nbd::resize_capability;
namespace offered = nbd::transmission_flag;

constexpr std::uint32_t info_length = 24;
constexpr std::uint64_t chunk_length = 12;
constexpr std::uint16_t forms = asked::query | asked::notify | asked::cancel;
constexpr std::uint16_t known_capabilities = can::explicit_ | can::shrink | can::automatic |
                                             can::automatic_implicit | can::zeroed | can::query |
                                             can::notify | can::external;
constexpr std::uint32_t known_size_flags =
    nbd::resize_flag::zeroed | nbd::resize_flag::external | nbd::resize_flag::coalesced;

bool is_plain(const nbd::Request& request) {
    return request.type == Command::resize && (request.flags & forms) == 0;
}

/// Both sides know what NBD_INFO_RESIZE said, and replies have chunks.
bool tells_sizes(const State& state) {
    return state.chunks() && state.entered && state.entered->resize;
}

/// The flag of this form is set, its capability was not promised.
Wrong form_not_offered(const RequestEvent& event, std::uint16_t flag, std::uint16_t capability,
                       std::string_view capability_name) {
    return event.is(Command::resize) && event.has(flag) && !event.state.can_resize(capability)
               ? fmt::format("{}, but {} was not advertised", nbd::command_flag_names(flag), capability_name)
               : Wrong();
}

constexpr Rule<OptionReplyEvent> option_replies[] = {
    {"RZ-INFO-1",
     [](const OptionReplyEvent& event) {
         return when(event.info == InfoType::resize && event.state.option &&
                         !event.state.option->asked(InfoType::resize),
                     "the client did not ask for NBD_INFO_RESIZE");
     }},
    {"RZ-INFO-3",
     [](const OptionReplyEvent& event) {
         return event.info == InfoType::resize && event.reply.length != info_length
                    ? fmt::format("{} bytes came", event.reply.length)
                    : Wrong();
     }},
    {"RZ-INFO-5",
     [](const OptionReplyEvent& event) {
         if (!event.resize) {
             return Wrong();
         }
         const std::uint16_t bits = event.resize->capabilities;
         const auto has = [bits](std::uint16_t bit) { return (bits & bit) != 0; };
         if (has(can::shrink) && !has(can::explicit_)) {
             return Wrong("SHRINK is set, EXPLICIT is not");
         }
         if (has(can::automatic_implicit) && !has(can::automatic)) {
             return Wrong("AUTO_IMPLICIT is set, AUTO is not");
         }
         if ((has(can::query) || has(can::notify)) && !event.state.chunks()) {
             return Wrong("QUERY or NOTIFY is set, but replies have no chunks");
         }
         return unknown_bits("capabilities", bits, known_capabilities);
     }},
    {"RZ-INFO-6",
     [](const OptionReplyEvent& event) {
         if (!event.resize) {
             return Wrong();
         }
         const nbd::InfoResize& info = *event.resize;
         if (info.granularity == 0) {
             return Wrong("the granularity is 0");
         }
         if (info.smallest > info.largest) {
             return fmt::format("the smallest size is {}, the largest {}", info.smallest, info.largest);
         }
         if (event.state.option && event.state.option->block && event.state.option->block->minimum > 0 &&
             info.granularity % event.state.option->block->minimum != 0) {
             return fmt::format("the granularity is {}, the minimum block size {}", info.granularity,
                                event.state.option->block->minimum);
         }
         return Wrong();
     }},
    {"RZ-INFO-6",
     [](const OptionReplyEvent& event) {
         const OpenOption* option = event.state.option ? &*event.state.option : nullptr;
         const bool complete = option != nullptr && option->is_info() && option->resize &&
                               option->export_info && event.reply.type == nbd::OptionReplyType::ack;
         return complete && (option->resize->smallest > option->export_info->size ||
                             option->resize->largest < option->export_info->size)
                    ? fmt::format("the size is {}, the smallest {}, the largest {}",
                                  option->export_info->size, option->resize->smallest,
                                  option->resize->largest)
                    : Wrong();
     }},
    {"RZ-FLAG-1",
     [](const OptionReplyEvent& event) {
         const OpenOption* option = event.state.option ? &*event.state.option : nullptr;
         const bool complete = option != nullptr && option->is_info() && option->resize &&
                               option->export_info && event.reply.type == nbd::OptionReplyType::ack;
         if (!complete) {
             return Wrong();
         }
         const bool accepts =
             (option->resize->capabilities & (can::explicit_ | can::query | can::notify)) != 0;
         const bool flag = (option->export_info->transmission_flags & offered::send_resize) != 0;
         return accepts == flag ? Wrong()
                                : fmt::format("NBD_FLAG_SEND_RESIZE is {}, the capabilities are {}",
                                              flag ? "set" : "clear",
                                              nbd::resize_capability_names(option->resize->capabilities));
     }},
};

constexpr Rule<ExportEvent> exports[] = {
    {"RZ-FLAG-1",
     [](const ExportEvent& event) {
         return when(event.telling != Telling::go && event.telling != Telling::info &&
                         event.has(offered::send_resize) && event.has(offered::read_only),
                     "NBD_FLAG_SEND_RESIZE is set on a read-only export");
     }},
};

constexpr Rule<RequestEvent> requests[] = {
    {"RZ-FLAG-2",
     [](const RequestEvent& event) {
         return when(event.is(Command::resize) && !event.state.has(offered::send_resize),
                     "NBD_FLAG_SEND_RESIZE is clear");
     }},
    {"RZ-FLAG-3",
     [](const RequestEvent& event) {
         return when(event.is(Command::resize) && event.state.has(offered::send_resize) &&
                         !event.state.entered->resize && !is_plain(event.request()),
                     "only the flag is known, but it is not the plain form");
     }},
    {"RZ-INFO-7",
     [](const RequestEvent& event) {
         const Wrong query = form_not_offered(event, asked::query, can::query, "QUERY");
         return query.empty() ? form_not_offered(event, asked::notify | asked::cancel, can::notify, "NOTIFY")
                              : query;
     }},
    {"RZ-INFO-7",
     [](const RequestEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         return when(write && event.has(asked::extend) && !event.state.can_resize(can::automatic),
                     "NBD_CMD_FLAG_EXTEND is set, but AUTO was not advertised");
     }},
    {"RZ-AUTO-4",
     [](const RequestEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         return event.has(asked::extend) && !write
                    ? fmt::format("NBD_CMD_FLAG_EXTEND on {}", nbd::name(event.request().type))
                    : Wrong();
     }},
    {"RZ-CMD-1",
     [](const RequestEvent& event) {
         return event.is(Command::resize) &&
                        std::popcount(static_cast<std::uint16_t>(event.request().flags & forms)) > 1
                    ? fmt::format("{} together", nbd::command_flag_names(event.request().flags & forms))
                    : Wrong();
     }},
    {"RZ-CMD-1",
     [](const RequestEvent& event) {
         return when(event.is(Command::resize) && event.has(asked::payload_len),
                     "NBD_CMD_FLAG_PAYLOAD_LEN is set, but NBD_CMD_RESIZE has no payload");
     }},
    {"RZ-CMD-1",
     [](const RequestEvent& event) {
         return when(event.is(Command::resize) && event.has(asked::no_hole) && !is_plain(event.request()),
                     "NBD_CMD_FLAG_NO_HOLE on another form than the plain one");
     }},
    {"RZ-CMD-1",
     [](const RequestEvent& event) {
         constexpr std::uint16_t resize_flags = asked::query | asked::notify | asked::cancel;
         return (event.request().flags & resize_flags) != 0 && !event.is(Command::resize)
                    ? fmt::format("{} on {}", nbd::command_flag_names(event.request().flags & resize_flags),
                                  nbd::name(event.request().type))
                    : Wrong();
     }},
    {"RZ-PLAIN-1",
     [](const RequestEvent& event) {
         const nbd::Request& request = event.request();
         return is_plain(request) && (request.length != 0 || request.offset > nbd::max_resize)
                    ? fmt::format("a size of {} with a length of {}", request.offset, request.length)
                    : Wrong();
     }},
    {"RZ-PLAIN-10",
     [](const RequestEvent& event) {
         // Where very many requests are open, each of them would take a look at all others.
         constexpr std::size_t most = 1024;
         if (!is_plain(event.request()) || event.state.size_moved || event.state.open.size() > most) {
             return Wrong();
         }
         const std::uint64_t low = std::min(event.request().offset, event.state.entered->size);
         const std::uint64_t high = std::max(event.request().offset, event.state.entered->size);
         for (const auto& [cookie, open] : event.state.open) {
             if (open.effect > 0 && open.end() > low && open.request.offset < high) {
                 return fmt::format("a request for {} bytes from {} on is open", open.effect,
                                    open.request.offset);
             }
         }
         return Wrong();
     }},
    {"RZ-QUERY-1",
     [](const RequestEvent& event) {
         const nbd::Request& request = event.request();
         return event.is(Command::resize) && (request.flags & forms) == asked::query &&
                        (request.offset != 0 || request.length != 0)
                    ? fmt::format("offset {} and length {}", request.offset, request.length)
                    : Wrong();
     }},
    {"RZ-NOTE-1",
     [](const RequestEvent& event) {
         if (!event.open.is_subscription()) {
             return Wrong();
         }
         if (event.request().offset != 0) {
             return fmt::format("the offset is {}", event.request().offset);
         }
         return when(event.state.subscriptions > 0, "a subscription is open already");
     }},
    {"RZ-NOTE-8",
     [](const RequestEvent& event) {
         return event.is(Command::resize) && (event.request().flags & forms) == asked::cancel &&
                        event.request().length != 0
                    ? fmt::format("the length is {}", event.request().length)
                    : Wrong();
     }},
};

constexpr Rule<ChunkEvent> chunks[] = {
    {"RZ-CHUNK-1",
     [](const ChunkEvent& event) {
         return event.is(ChunkType::resize) && event.chunk.length != chunk_length
                    ? fmt::format("the length is {}", event.chunk.length)
                    : Wrong();
     }},
    {"RZ-CHUNK-1",
     [](const ChunkEvent& event) {
         return event.resize ? unknown_bits("size flags", event.resize->flags, known_size_flags) : Wrong();
     }},
    {"RZ-CHUNK-2",
     [](const ChunkEvent& event) {
         if (!event.is(ChunkType::resize) || event.open == nullptr) {
             return Wrong();
         }
         const bool write = event.to(Command::write) || event.to(Command::write_zeroes);
         const bool belongs = event.to(Command::resize) || (write && event.open->has(asked::extend));
         return belongs ? Wrong()
                        : fmt::format("{} has no size to tell", nbd::name(event.open->request.type));
     }},
    {"RZ-CHUNK-2",
     [](const ChunkEvent& event) {
         const bool error_then_size =
             event.is(ChunkType::resize) && event.open != nullptr && event.open->error;
         const bool size_then_error = nbd::is_error(event.chunk.type) && event.open != nullptr &&
                                      event.open->sizes > 0 && !event.open->is_subscription();
         return when(error_then_size || size_then_error, "a size and an error are in one reply");
     }},
    {"RZ-PLAIN-5",
     [](const ChunkEvent& event) {
         return when(event.is(ChunkType::resize) && event.open != nullptr && is_plain(event.open->request) &&
                         !event.state.entered->resize,
                     "a size came, but NBD_INFO_RESIZE was not sent");
     }},
    {"RZ-NOTE-2",
     [](const ChunkEvent& event) {
         return when(event.resize && event.open != nullptr && event.open->is_subscription() &&
                         event.open->sizes == 0 && (event.chunk.done() || event.resize->flags != 0),
                     "the first size of a subscription ends it, or has flags");
     }},
    {"RZ-NOTE-6",
     [](const ChunkEvent& event) {
         // The first size costs nothing.
         return event.resize && event.open != nullptr && event.open->is_subscription() &&
                        event.open->request.length != 0 && event.open->sizes > event.open->request.length
                    ? fmt::format("notification {}, the credit is {}", event.open->sizes,
                                  event.open->request.length)
                    : Wrong();
     }},
    {"RZ-NOTE-5",
     [](const ChunkEvent& event) {
         // One that was refused has an error before its end, and no size.
         return event.is(ChunkType::none) && event.open != nullptr && event.open->is_subscription() &&
                        event.open->sizes == 0 && !event.open->error
                    ? Wrong("a subscription ends before its first size")
                    : Wrong();
     }},
};

/// A request of the form that must fail so succeeded, or failed with another error.
Wrong wrong_error(const ReplyEvent& event, Error wanted) {
    if (!event.failed()) {
        return "it succeeded";
    }
    return event.failed_with(wanted) ? Wrong()
                                     : fmt::format("it failed with {}", nbd::name(*event.open.error));
}

constexpr Rule<ReplyEvent> replies[] = {
    {"RZ-FLAG-4",
     [](const ReplyEvent& event) {
         return when(event.is(Command::resize) && !event.state.has(offered::send_resize) && !event.failed(),
                     "NBD_FLAG_SEND_RESIZE is clear, but it succeeded");
     },
     recommended},
    {"RZ-AUTO-4",
     [](const ReplyEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         const bool unknown = event.has(asked::extend) && (!write || !event.state.can_resize(can::automatic));
         return unknown ? wrong_error(event, Error::inval) : Wrong();
     }},
    {"RZ-AUTO-5",
     [](const ReplyEvent& event) {
         const bool reads = event.is(Command::read) || event.is(Command::trim) || event.is(Command::cache);
         const bool beyond = event.open.effect > 0 && event.open.end() > event.state.largest_size;
         return when(reads && beyond && !event.failed() && event.state.entered->resize &&
                         !event.state.can_resize(can::external),
                     "it succeeded beyond the end of an export that only this client can make longer");
     }},
    {"RZ-AUTO-6",
     [](const ReplyEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         const bool grew = event.open.end() > event.state.largest_size;
         return when(write && event.has(asked::extend) && !event.failed() && grew && event.state.chunks() &&
                         event.open.sizes == 0,
                     "the export has grown, but no size came");
     }},
    {"RZ-AUTO-6",
     [](const ReplyEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         return event.open.sizes > 1 && write ? fmt::format("{} sizes came", event.open.sizes) : Wrong();
     }},
    {"RZ-AUTO-1",
     [](const ReplyEvent& event) {
         const bool write = event.is(Command::write) || event.is(Command::write_zeroes);
         return write && !event.failed() && event.open.size && event.open.size->size < event.open.end()
                    ? fmt::format("the size is {}, the request went to {}", event.open.size->size,
                                  event.open.end())
                    : Wrong();
     }},
    {"RZ-CMD-1",
     [](const ReplyEvent& event) {
         const std::uint16_t flags = event.open.request.flags;
         const bool several = std::popcount(static_cast<std::uint16_t>(flags & forms)) > 1;
         const bool unknown =
             ((flags & asked::query) != 0 && !event.state.can_resize(can::query)) ||
             ((flags & (asked::notify | asked::cancel)) != 0 && !event.state.can_resize(can::notify));
         const bool payload = (flags & asked::payload_len) != 0;
         return event.is(Command::resize) && event.state.has(offered::send_resize) &&
                        (several || unknown || payload)
                    ? wrong_error(event, Error::inval)
                    : Wrong();
     }},
    {"RZ-PLAIN-1",
     [](const ReplyEvent& event) {
         const nbd::Request& request = event.open.request;
         return is_plain(request) && event.state.has(offered::send_resize) &&
                        (request.length != 0 || request.offset > nbd::max_resize)
                    ? wrong_error(event, Error::inval)
                    : Wrong();
     }},
    {"RZ-PLAIN-2",
     [](const ReplyEvent& event) {
         const nbd::Request& request = event.open.request;
         const bool plain = is_plain(request) && request.length == 0 && request.offset <= nbd::max_resize &&
                            (request.flags & ~(asked::fua | asked::no_hole)) == 0;
         return plain && event.state.has(offered::send_resize) && event.state.entered->resize &&
                        !event.state.can_resize(can::explicit_)
                    ? wrong_error(event, Error::perm)
                    : Wrong();
     }},
    {"RZ-PLAIN-3",
     [](const ReplyEvent& event) {
         const nbd::Request& request = event.open.request;
         return when(is_plain(request) && !event.failed() && event.state.entered->resize &&
                         !event.state.can_resize(can::shrink) && !event.open.size_had_moved &&
                         !event.state.can_resize(can::external) && request.offset < event.state.entered->size,
                     "SHRINK was not advertised, but the export was made smaller");
     }},
    {"RZ-PLAIN-6",
     [](const ReplyEvent& event) {
         return is_plain(event.open.request) && !event.failed() && tells_sizes(event.state) &&
                        event.open.sizes != 1
                    ? fmt::format("{} sizes came", event.open.sizes)
                    : Wrong();
     }},
    {"RZ-PLAIN-6",
     [](const ReplyEvent& event) {
         if (!is_plain(event.open.request) || event.failed() || !event.open.size ||
             !event.state.entered->resize) {
             return Wrong();
         }
         const std::uint64_t wanted = event.open.request.offset;
         const std::uint64_t got = event.open.size->size;
         const nbd::InfoResize& info = *event.state.entered->resize;
         const bool largest = got == info.largest && wanted > info.largest;
         const bool rounded = got >= wanted && got - wanted < info.granularity;
         // A shrink that rounding would undo leaves the size as it is, which only the server knows for sure.
         const bool unchanged = got > wanted && info.granularity > 1 && got - wanted <= info.granularity;
         return largest || rounded || unchanged
                    ? Wrong()
                    : fmt::format("the size is {}, {} was asked for; granularity {}, largest {}", got, wanted,
                                  info.granularity, info.largest);
     }},
    {"RZ-QUERY-1",
     [](const ReplyEvent& event) {
         const nbd::Request& request = event.open.request;
         return event.is(Command::resize) && (request.flags & forms) == asked::query &&
                        event.state.can_resize(can::query) && (request.offset != 0 || request.length != 0)
                    ? wrong_error(event, Error::inval)
                    : Wrong();
     }},
    {"RZ-QUERY-2",
     [](const ReplyEvent& event) {
         const bool query = event.is(Command::resize) && (event.open.request.flags & forms) == asked::query;
         if (!query || event.failed()) {
             return Wrong();
         }
         if (event.open.sizes != 1) {
             return fmt::format("{} sizes came", event.open.sizes);
         }
         return when(event.open.size && event.open.size->flags != 0, "the size has flags");
     }},
    {"RZ-NOTE-1",
     [](const ReplyEvent& event) {
         return event.open.is_subscription() && event.open.request.offset != 0 &&
                        event.state.can_resize(can::notify)
                    ? wrong_error(event, Error::inval)
                    : Wrong();
     }},
    {"RZ-NOTE-8",
     [](const ReplyEvent& event) {
         const nbd::Request& request = event.open.request;
         const bool cancel = event.is(Command::resize) && (request.flags & forms) == asked::cancel;
         if (!cancel || !event.state.can_resize(can::notify)) {
             return Wrong();
         }
         if (request.length != 0) {
             return wrong_error(event, Error::inval);
         }
         const auto open = event.state.open.find(request.offset);
         return when(!event.failed() && open != event.state.open.end() && open->second.is_subscription(),
                     "the cancel is answered, but the subscription has not ended");
     }},
};

} // namespace

std::span<const Rule<OptionReplyEvent>> resize_option_reply_rules() {
    return option_replies;
}

std::span<const Rule<ExportEvent>> resize_export_rules() {
    return exports;
}

std::span<const Rule<RequestEvent>> resize_request_rules() {
    return requests;
}

std::span<const Rule<ChunkEvent>> resize_chunk_rules() {
    return chunks;
}

std::span<const Rule<ReplyEvent>> resize_reply_rules() {
    return replies;
}

} // namespace wire
