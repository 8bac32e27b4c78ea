// Faults of clients that go wrong, without noticing it, at what they have to put up with: they take it for
// something else.

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <map>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::Option;
using nbd::OptionReplyType;

/// Puts the content of reads into the buffer in the order in which it comes.
Recipe order_of_arrival() {
    using Positions = std::map<std::uint64_t, std::uint64_t>;
    return twist_with(Positions(), [](Positions& positions, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        const auto content = content_of(chunk);
        if (request && content) {
            std::uint64_t& position = positions.try_emplace(chunk.cookie, request->offset).first->second;
            nbd::detail::store_big(chunk.payload.data(), position);
            position += content->end - content->begin;
        }
        if (chunk.done()) {
            positions.erase(chunk.cookie);
        }
    });
}

/// Mixes the flags that come with the greeting into those of the export.
Recipe flags_of_greeting() {
    const auto mix = [](std::uint16_t& flags, const Conversation& told) {
        flags |= told.greeting ? told.greeting->flags : std::uint16_t{0};
    };
    return twist(
        [mix](OptionReply& reply, Flow& flow) {
            auto told = payload_as<nbd::InfoExport>(reply.payload);
            if (reply.type == OptionReplyType::info && told && told->type == nbd::InfoType::export_) {
                mix(told->transmission_flags, flow.told());
                reply.payload = nbd::encode(*told);
            }
        },
        [mix](ExportReply& reply, Flow& flow) { mix(reply.flags, flow.told()); });
}

/// Changes the ids in the answers to an option for metadata contexts.
void give_id(OptionReply& reply, std::uint32_t id) {
    if (auto context = payload_as<nbd::MetaContextReply>(reply.payload)) {
        context->id = id;
        reply.payload = nbd::encode(*context);
    }
}

bool is_context(const OptionReply& reply, Option option) {
    return reply.option == option && reply.type == OptionReplyType::meta_context;
}

/// Goes by the ids that NBD_OPT_LIST_META_CONTEXT told.
Recipe ids_of_list() {
    using Ids = std::map<std::string, std::uint32_t>;
    return twist_with(Ids(), [](Ids& ids, OptionReply& reply) {
        const auto context = payload_as<nbd::MetaContextReply>(reply.payload);
        if (context && is_context(reply, Option::list_meta_context)) {
            ids[context->context] = context->id;
        } else if (context && is_context(reply, Option::set_meta_context) && ids.contains(context->context)) {
            give_id(reply, ids[context->context]);
        }
    });
}

/// Expects that contexts are numbered from 1.
Recipe ids_from_one() {
    return twist_with(
        std::uint32_t{0}, [](std::uint32_t& last, OptionRequest& /*option*/) { last = 0; },
        [](std::uint32_t& last, OptionReply& reply) {
            if (is_context(reply, Option::set_meta_context)) {
                give_id(reply, ++last);
            }
        });
}

/// Takes the status chunks of a reply for those of the contexts in the order of their selection.
Recipe status_in_order() {
    using Counts = std::map<std::uint64_t, std::size_t>;
    return twist_with(Counts(), [](Counts& counts, Chunk& chunk, Flow& flow) {
        const bool status =
            chunk.type == ChunkType::block_status || chunk.type == ChunkType::block_status_ext;
        const auto& contexts = flow.told().contexts;
        if (status && chunk.payload.size() >= sizeof(std::uint32_t)) {
            const std::size_t number = counts[chunk.cookie]++;
            if (number < contexts.size()) {
                nbd::detail::store_big(chunk.payload.data(), contexts[number].id);
            }
        }
        if (chunk.done()) {
            counts.erase(chunk.cookie);
        }
    });
}

/// Takes all requests as if they had been answered in the order in which they were sent.
Recipe replies_in_order() {
    return twist(
        [](Reply& reply, Flow& flow) {
            const auto& asked = flow.told().asked;
            const auto request = flow.told().request(reply.cookie);
            // A reply to another kind of request could not be taken for it.
            if (request && !asked.empty() && asked.begin()->second.type == request->type &&
                asked.begin()->second.length == request->length) {
                reply.cookie = asked.begin()->first;
            }
        },
        [](Chunk& chunk, Flow& flow) {
            const auto& asked = flow.told().asked;
            const auto request = flow.told().request(chunk.cookie);
            if (!request || asked.empty() || asked.begin()->second.type != Command::read ||
                request->type != Command::read || asked.begin()->second.length != request->length) {
                return;
            }
            const Request& oldest = asked.begin()->second;
            if (const auto content = content_of(chunk)) {
                nbd::detail::store_big(chunk.payload.data(),
                                       content->begin - request->offset + oldest.offset);
            }
            chunk.cookie = oldest.cookie;
            chunk.offset = oldest.offset;
        });
}

} // namespace

Table client_misreading_faults() {
    return {
        {"flags-of-greeting", "HANDSHAKE-FLAGS-IGNORED",
         "takes the flags of the greeting for flags of the export, too", flags_of_greeting()},
        {"padding-unread", "EXPORT-NAME-ZEROES",
         "takes the zeroes behind the answer to NBD_OPT_EXPORT_NAME for a reply",
         twist([](ExportReply& reply) { reply.padding.resize(2 * reply.padding.size()); })},
        {"replies-in-order", "REPLIES-ANY-ORDER",
         "takes each reply for that to its oldest request, whatever the cookie", replies_in_order()},
        {"content-in-order", "CONTENT-REASSEMBLED",
         "puts the content of a read together in the order in which it comes", order_of_arrival()},
        {"context-ids-of-list", "LIST-META-ID-DISREGARDED",
         "goes by the ids of contexts that NBD_OPT_LIST_META_CONTEXT told", ids_of_list()},
        {"context-ids-from-one", "SET-META-OPAQUE", "expects contexts to be numbered from 1 on",
         ids_from_one()},
        {"status-in-order", "STATUS-CONTEXT-ORDER",
         "takes status chunks for those of the contexts in the order of their selection", status_in_order()},
    };
}

} // namespace faults
