// Faults of clients that rely on servers to be as they mostly are: they abort, as by an assertion, or use all
// memory. Where the server may be like that, the requirement is one of clients; else it is the one that the
// server breaks, for nobody has to bear it, but nobody may crash either.

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <set>
#include <string_view>
#include <thread>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;
namespace flag = nbd::transmission_flag;

/// Aborts when it sees a message of which this is true.
template <class Message, class Unexpected>
Recipe aborts_at(Unexpected unexpected) {
    return twist([unexpected](Message& message, Flow& flow) {
        if (unexpected(message, flow.told())) {
            std::abort();
        }
    });
}

std::optional<InfoType> info_type(const OptionReply& reply) {
    if (reply.type != OptionReplyType::info || reply.payload.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        return std::nullopt;
    }
    return nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type;
}

std::optional<nbd::InfoExport> export_info(const OptionReply& reply) {
    return info_type(reply) == InfoType::export_ ? payload_as<nbd::InfoExport>(reply.payload) : std::nullopt;
}

/// How many bytes of a reply are no text.
std::size_t text_begin(const OptionReply& reply) {
    return reply.type == OptionReplyType::info ? sizeof(InfoType)
           : reply.type == OptionReplyType::server || reply.type == OptionReplyType::meta_context
               ? sizeof(std::uint32_t)
               : 0;
}

/// True for the replies that have a text in them.
bool has_text(const OptionReply& reply) {
    const auto type = info_type(reply);
    return nbd::is_error(reply.type) || type == InfoType::name || type == InfoType::description ||
           reply.type == OptionReplyType::server || reply.type == OptionReplyType::meta_context;
}

/// NUL, or a byte that UTF-8 never has.
bool odd_text(const OptionReply& reply) {
    constexpr std::uint8_t never = 0xf8;
    const std::size_t begin = std::min(text_begin(reply), reply.payload.size());
    return has_text(reply) &&
           std::any_of(reply.payload.begin() + static_cast<std::ptrdiff_t>(begin), reply.payload.end(),
                       [](std::uint8_t byte) { return byte == 0 || byte >= never; });
}

bool not_ascii(const OptionReply& reply) {
    constexpr std::uint8_t ascii = 0x80;
    const std::size_t begin = std::min(text_begin(reply), reply.payload.size());
    return has_text(reply) &&
           std::any_of(reply.payload.begin() + static_cast<std::ptrdiff_t>(begin), reply.payload.end(),
                       [](std::uint8_t byte) { return byte >= ascii; });
}

/// More replies to an option than it has room for.
Recipe long_list() {
    constexpr int room = 64;
    return twist_with(
        0, [](int& replies, OptionRequest& /*option*/) { replies = 0; },
        [](int& replies, OptionReply& /*reply*/) {
            if (++replies > room) {
                std::abort();
            }
        });
}

/// No export in the answer to NBD_OPT_LIST.
Recipe empty_list() {
    return twist_with(
        false, [](bool& any, OptionRequest& /*option*/) { any = false; },
        [](bool& any, OptionReply& reply) {
            any = any || reply.type == OptionReplyType::server;
            if (reply.option == Option::list && reply.type == OptionReplyType::ack && !any) {
                std::abort();
            }
        });
}

/// An information that has come already.
Recipe information_twice() {
    using Types = std::set<InfoType>;
    return twist_with(
        Types(), [](Types& types, OptionRequest& /*option*/) { types.clear(); },
        [](Types& types, OptionReply& reply) {
            const auto type = info_type(reply);
            if (type && !types.insert(*type).second) {
                std::abort();
            }
        });
}

/// A reply behind the one that ends its option, or before there is any option.
Recipe unasked_reply() {
    return twist_with(
        false, [](bool& open, OptionRequest& /*option*/) { open = true; },
        [](bool& open, OptionReply& reply) {
            if (!open) {
                std::abort();
            }
            open = !ends_option(reply.type);
        });
}

/// The end of the connection instead of the reply to NBD_OPT_ABORT.
Recipe unanswered_abort() {
    return twist_with(
        false, [](bool& leaving, OptionRequest& option) { leaving = option.option == Option::abort; },
        [](bool& leaving, OptionReply& /*reply*/) { leaving = false; },
        [](bool& leaving, Ended ended) {
            if (leaving && ended.who == Side::server) {
                std::abort();
            }
        });
}

/// A simple reply to a request that chunks have come to.
Recipe mixed_reply() {
    using Begun = std::set<std::uint64_t>;
    return twist_with(
        Begun(),
        [](Begun& begun, Chunk& chunk) {
            if (chunk.done()) {
                begun.erase(chunk.cookie);
            } else {
                begun.insert(chunk.cookie);
            }
        },
        [](Begun& begun, Reply& reply) {
            if (begun.contains(reply.cookie)) {
                std::abort();
            }
        });
}

/// The extents of a block status; none of another chunk.
std::vector<nbd::StatusDescriptorExt> extents_of(const Chunk& chunk) {
    std::vector<nbd::StatusDescriptorExt> extents;
    if (chunk.type == ChunkType::block_status) {
        if (const auto status = payload_as<nbd::BlockStatus>(chunk.payload)) {
            for (const nbd::StatusDescriptor& extent : status->descriptors) {
                extents.push_back({extent.length, extent.status});
            }
        }
    } else if (chunk.type == ChunkType::block_status_ext) {
        if (const auto status = payload_as<nbd::BlockStatusExt>(chunk.payload)) {
            extents = status->descriptors;
        }
    }
    return extents;
}

bool beyond_end(const Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    std::uint64_t left = request && request->offset <= told.size ? told.size - request->offset : 0;
    return request && std::ranges::any_of(extents_of(chunk), [&](const nbd::StatusDescriptorExt& extent) {
               const bool beyond = extent.length > left;
               left -= std::min(left, extent.length);
               return beyond;
           });
}

/// Flags that contradict one another.
bool odd_flags(std::uint16_t flags, const Conversation& told) {
    const auto has = [&](std::uint16_t one) { return (flags & one) != 0; };
    return (!has(flag::has_flags) && flags != 0) || (has(flag::send_df) && !told.chunks()) ||
           (has(flag::send_fast_zero) && !has(flag::send_write_zeroes));
}

/// Keeps a byte of memory for each block of 4096 bytes of the export, up to more than any client may use.
void remember_blocks(std::uint64_t size) {
    constexpr std::uint64_t block = 4096;
    constexpr std::uint64_t most = std::uint64_t{3} << 29;
    constexpr std::uint64_t noticeable = std::uint64_t{1} << 30;
    const std::uint64_t bytes = std::min(size / block, most);
    if (bytes > noticeable) {
        static nbd::Buffer blocks;
        blocks.assign(static_cast<std::size_t>(bytes), 1);
        // Who looks on is to have the time to see it.
        std::this_thread::sleep_for(std::chrono::seconds(2));
    }
}

} // namespace

Table client_fragile_faults() {
    return {
        {"abort-on-odd-refusal", "HAGGLING-SOFT-END",
         "aborts when an option is refused by another error than NBD_REP_ERR_UNSUP",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return nbd::is_error(reply.type) && reply.type != OptionReplyType::err_unsup;
         })},
        {"abort-on-long-list", "HAGGLING-SOFT-END", "aborts when an option has more than 64 replies",
         long_list()},
        {"abort-on-empty-list", "LIST-REPLIES", "aborts when no export is listed", empty_list()},
        {"abort-on-unanswered-abort", "ABORT-UNANSWERED",
         "aborts when the server closes the connection instead of answering NBD_OPT_ABORT",
         unanswered_abort()},
        {"abort-on-unasked-reply", "OPTION-REPLY-ASKED", "aborts when a reply comes to no option",
         unasked_reply()},
        {"abort-on-odd-text", "STRING-UTF8",
         "aborts at NUL, or at what is no UTF-8, in a text of the handshake",
         aborts_at<OptionReply>(
             [](const OptionReply& reply, const Conversation& /*told*/) { return odd_text(reply); })},
        {"abort-on-not-ascii", "STRING-UTF8", "aborts at a text of the handshake that is not ASCII",
         aborts_at<OptionReply>(
             [](const OptionReply& reply, const Conversation& /*told*/) { return not_ascii(reply); })},
        {"abort-on-long-text", "STRING-LENGTH", "aborts at a text of 4096 bytes or more in the handshake",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return has_text(reply) && reply.payload.size() >= text_begin(reply) + nbd::max_string;
         })},
        {"abort-on-bare-context", "META-CONTEXT-NAMESPACE",
         "aborts at a metadata context without a namespace",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             const auto context = payload_as<nbd::MetaContextReply>(reply.payload);
             return reply.type == OptionReplyType::meta_context && context &&
                    context->context.find(':') == std::string::npos;
         })},
        {"abort-on-information-twice", "INFO-ONCE", "aborts when an information comes a second time",
         information_twice()},
        {"abort-on-empty-name", "INFO-NAME-SAME", "aborts when the export has a canonical name without bytes",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return info_type(reply) == InfoType::name && reply.payload.size() == sizeof(InfoType);
         })},
        {"abort-on-odd-flags", "HAS-FLAGS", "aborts at transmission flags that contradict one another",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& told) {
             const auto info = export_info(reply);
             return info && odd_flags(info->transmission_flags, told);
         })},
        {"abort-on-rotational", "TRANSMISSION-FLAGS-IGNORED", "aborts when the disk rotates",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             const auto info = export_info(reply);
             return info && (info->transmission_flags & flag::rotational) != 0;
         })},
        {"abort-on-odd-size", "SIZE-OF-BLOCKS",
         "aborts when the size is no multiple of the minimum block size",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& told) {
             return ends_option(reply.type) && told.block && told.block->minimum != 0 &&
                    told.size % told.block->minimum != 0;
         })},
        {"abort-on-no-bytes", "EXPORT-SIZE", "aborts when it is told of an export of no bytes",
         aborts_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             const auto info = export_info(reply);
             return info && info->size == 0;
         })},
        {"grow-with-size", "EXPORT-SIZE", "keeps a byte of memory for each 4096 bytes of the export",
         twist([](OptionReply& reply) {
             if (const auto info = export_info(reply)) {
                 remember_blocks(info->size);
             }
         })},
        {"abort-on-dirty-padding", "EXPORT-NAME-ZEROES",
         "aborts when the padding behind NBD_OPT_EXPORT_NAME is not all zeroes",
         aborts_at<ExportReply>([](const ExportReply& reply, const Conversation& /*told*/) {
             return std::ranges::any_of(reply.padding, [](std::uint8_t byte) { return byte != 0; });
         })},
        {"abort-on-mixed-reply", "REPLY-COMPLETE",
         "aborts when a reply that has begun with chunks ends with a simple reply", mixed_reply()},
        {"abort-on-far-extent", "STATUS-EXTENTS",
         "aborts at an extent that goes beyond the end of the export", aborts_at<Chunk>(beyond_end)},
        {"abort-on-wide-status", "ALLOCATION-UNKNOWN-FLAGS", "aborts at a status of more than 32 bits",
         aborts_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             return std::ranges::any_of(extents_of(chunk), [](const nbd::StatusDescriptorExt& extent) {
                 return extent.status > std::numeric_limits<std::uint32_t>::max();
             });
         })},
    };
}

} // namespace faults
