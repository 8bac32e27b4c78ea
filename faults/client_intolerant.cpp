// Faults of clients that do not bear what they have to ignore or to put up with: they drop the connection
// when they see it.

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

constexpr std::uint16_t known_handshake_flags =
    nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes;
/// All that are given out, those of extensions included.
constexpr std::uint16_t known_transmission_flags = (1U << 13) - 1;
constexpr std::uint64_t known_status_flags = nbd::allocation_flag::hole | nbd::allocation_flag::zero;

/// Drops the connection when it sees a message of which this is true.
template <class Message, class Unbearable>
Recipe leaves_at(Unbearable unbearable) {
    return twist([unbearable](Message& message, Flow& flow) {
        if (unbearable(message, flow.told())) {
            flow.hang_up();
        }
    });
}

std::optional<InfoType> info_type(const OptionReply& reply) {
    if (reply.type != OptionReplyType::info || reply.payload.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        return std::nullopt;
    }
    return nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type;
}

/// True if an error refuses this option because the server does not know it.
bool unsupported(const OptionReply& reply, Option option) {
    return reply.option == option && reply.type == OptionReplyType::err_unsup;
}

bool known_error(nbd::Error error) {
    switch (error) {
    case nbd::Error::none:
    case nbd::Error::perm:
    case nbd::Error::io:
    case nbd::Error::nomem:
    case nbd::Error::inval:
    case nbd::Error::nospc:
    case nbd::Error::overflow:
    case nbd::Error::notsup:
    case nbd::Error::shutdown:
        return true;
    }
    return false;
}

/// The extents of a status chunk, with 64 bits each; none if it is no such chunk.
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

/// 1 if the extents reach beyond what was asked for, -1 if they end before it.
int compared_with_request(const Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    std::uint64_t left = request ? request->length : 0;
    bool any = false;
    for (const nbd::StatusDescriptorExt& extent : extents_of(chunk)) {
        any = true;
        if (extent.length > left) {
            return 1;
        }
        left -= extent.length;
    }
    return any && left > 0 ? -1 : 0;
}

/// Information in an order in which NBD_INFO_EXPORT does not come first.
Recipe relies_on_order() {
    return twist_with(
        true, [](bool& first, OptionRequest& /*option*/) { first = true; },
        [](bool& first, OptionReply& reply, Flow& flow) {
            const auto type = info_type(reply);
            if (type && std::exchange(first, false) && *type != InfoType::export_) {
                flow.hang_up();
            }
        });
}

/// A reply that does not belong to the oldest request.
bool out_of_order(std::uint64_t cookie, const Conversation& told) {
    return told.asked.size() > 1 && told.request(cookie) && told.asked.begin()->first != cookie;
}

/// A chunk of another reply while one is under way.
Recipe interleaved() {
    return twist_with(
        std::optional<std::uint64_t>(),
        [](std::optional<std::uint64_t>& under_way, Chunk& chunk, Flow& flow) {
            if (under_way && *under_way != chunk.cookie) {
                return flow.hang_up();
            }
            under_way = chunk.done() ? std::nullopt : std::optional(chunk.cookie);
        },
        [](std::optional<std::uint64_t>& under_way, Reply& /*reply*/, Flow& flow) {
            if (under_way) {
                flow.hang_up();
            }
        });
}

/// Success by NBD_REPLY_TYPE_NONE of a command that is not a read.
bool success_by_none(const Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    return chunk.type == ChunkType::none && request && request->type != Command::read &&
           request->type != Command::block_status;
}

} // namespace

Table client_intolerant_faults() {
    return {
        {"refuse-handshake-flags", "HANDSHAKE-FLAGS-IGNORED", "leaves at a handshake flag it does not know",
         leaves_at<Greeting>([](const Greeting& greeting, const Conversation& /*told*/) {
             return !greeting.oldstyle && (greeting.flags & ~known_handshake_flags) != 0;
         })},
        {"refuse-newstyle", "INTEROP-EXPORT-NAME", "leaves a server that does not speak fixed newstyle",
         leaves_at<Greeting>([](const Greeting& greeting, const Conversation& /*told*/) {
             return !greeting.oldstyle && (greeting.flags & nbd::handshake_flag::fixed_newstyle) == 0;
         })},
        {"refuse-list", "BASELINE-CLIENT-OPTIONS", "cannot list exports",
         twist([](OptionRequest& option, Flow& flow) {
             if (option.option == Option::list) {
                 decline(option, flow);
             }
         })},
        {"refuse-extended-unsupported", "EXTENDED-UNSUPPORTED", "leaves where extended headers are not known",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return unsupported(reply, Option::extended_headers);
         })},
        {"refuse-structured-unsupported", "STRUCTURED-FALLBACK",
         "leaves where structured replies are not known",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return unsupported(reply, Option::structured_reply);
         })},
        {"refuse-go-unsupported", "GO-FALLBACK", "leaves where NBD_OPT_GO is not known",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             return unsupported(reply, Option::go);
         })},
        {"refuse-unknown-info", "INFO-UNKNOWN-IGNORED", "leaves at information of a type it does not know",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             const auto type = info_type(reply);
             return type && *type > InfoType::resize;
         })},
        {"refuse-info-order", "INFO-ORDER", "leaves if NBD_INFO_EXPORT is not the first information",
         relies_on_order()},
        {"refuse-long-string", "STRING-LENGTH", "leaves at a description of more than 256 bytes",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             constexpr std::size_t most = 256;
             return info_type(reply) == InfoType::description && reply.payload.size() > most + 2;
         })},
        {"refuse-transmission-flags", "TRANSMISSION-FLAGS-IGNORED",
         "leaves at a transmission flag it does not know",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             const auto told = payload_as<nbd::InfoExport>(reply.payload);
             return info_type(reply) == InfoType::export_ && told &&
                    (told->transmission_flags & ~known_transmission_flags) != 0;
         })},
        {"refuse-simple-replies", "BASELINE-SIMPLE", "leaves at a simple reply",
         leaves_at<Reply>([](const Reply& /*reply*/, const Conversation& /*told*/) { return true; })},
        {"refuse-reply-order", "REPLIES-ANY-ORDER", "leaves if a reply overtakes another one",
         twist(
             [](Reply& reply, Flow& flow) {
                 if (out_of_order(reply.cookie, flow.told())) {
                     flow.hang_up();
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 if (out_of_order(chunk.cookie, flow.told())) {
                     flow.hang_up();
                 }
             })},
        {"refuse-chunks-interleaved", "CHUNKS-INTERLEAVED",
         "leaves if another reply comes between the chunks of one", interleaved()},
        {"refuse-done-on-content", "DONE-ON-ANY-CHUNK",
         "leaves if a reply ends with another chunk than NBD_REPLY_TYPE_NONE",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             return chunk.done() && chunk.type != ChunkType::none && !nbd::is_error(chunk.type);
         })},
        {"refuse-none", "NONE-SUCCEEDS",
         "leaves if a command other than a read is answered by NBD_REPLY_TYPE_NONE",
         leaves_at<Chunk>(success_by_none)},
        {"refuse-chunk-flags", "CHUNK-FLAGS-IGNORED", "leaves at a reply flag it does not know",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             return (chunk.flags & ~nbd::reply_flag::done) != 0;
         })},
        {"refuse-unknown-error", "ERROR-UNEXPECTED", "leaves at an error that it does not know",
         twist(
             [](Reply& reply, Flow& flow) {
                 if (!known_error(reply.error)) {
                     flow.hang_up();
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 const auto told = payload_as<nbd::AnyErrorChunk>(chunk.payload);
                 if (nbd::is_error(chunk.type) && told && !known_error(told->error)) {
                     flow.hang_up();
                 }
             })},
        {"refuse-large-reply", "PAYLOAD-NO-DENIAL-CLIENT", "leaves at a chunk of more than 1 MiB",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             constexpr std::size_t most = 1U << 20;
             return chunk.payload.size() > most + 8;
         })},
        {"refuse-short-status", "STATUS-LENGTH-HINT", "leaves if a status is shorter than what it asked for",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& told) {
             return compared_with_request(chunk, told) < 0;
         })},
        {"refuse-long-status", "STATUS-LENGTH-HINT", "leaves if a status is longer than what it asked for",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& told) {
             return compared_with_request(chunk, told) > 0;
         })},
        {"refuse-equal-extents", "STATUS-SAME-STATUS",
         "leaves if extents that follow one another have the same status",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             const auto extents = extents_of(chunk);
             return std::ranges::adjacent_find(extents, {}, &nbd::StatusDescriptorExt::status) !=
                    extents.end();
         })},
        {"refuse-status-flags", "ALLOCATION-UNKNOWN-FLAGS", "leaves at a status flag it does not know",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             return std::ranges::any_of(extents_of(chunk), [](const nbd::StatusDescriptorExt& extent) {
                 return (extent.status & ~known_status_flags) != 0;
             });
         })},
    };
}

} // namespace faults
