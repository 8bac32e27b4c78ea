// What servers may do with metadata contexts and seldom do.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>
#include <string_view>

namespace faults {
namespace {

using nbd::Command;
using nbd::Option;
using nbd::OptionReplyType;

/// Metadata contexts have other ids, far from what is usual.
Recipe high_context_ids() {
    constexpr std::uint32_t far = 0x70000000;
    return twist(
        [](OptionReply& reply) {
            if (reply.option == Option::set_meta_context && reply.type == OptionReplyType::meta_context) {
                edit<nbd::MetaContextReply>(reply.payload,
                                            [](nbd::MetaContextReply& context) { context.id += far; });
            }
        },
        [](Request& request) {
            // A choice of contexts comes behind the length that it is about.
            const bool chooses = request.type == Command::block_status && !request.payload.empty();
            for (std::size_t at = sizeof(std::uint64_t); chooses && at + sizeof far <= request.payload.size();
                 at += sizeof far) {
                const auto id = nbd::detail::load_big<std::uint32_t>(request.payload.data() + at);
                nbd::detail::store_big(request.payload.data() + at, id - far);
            }
        },
        [](Chunk& chunk) {
            const bool status =
                chunk.type == nbd::ChunkType::block_status || chunk.type == nbd::ChunkType::block_status_ext;
            if (status && chunk.payload.size() >= sizeof far) {
                const auto id = nbd::detail::load_big<std::uint32_t>(chunk.payload.data());
                nbd::detail::store_big(chunk.payload.data(), id + far);
            }
        });
}

/// A metadata context of this project, for clients that query it.
constexpr std::string_view other_context = "x-nbd-interop:other";
constexpr std::uint32_t other_id = 77;

/// The status of the other context comes first, although it is selected last.
void other_status_first(const Chunk& chunk, Flow& flow) {
    const auto request = flow.told().request(chunk.cookie);
    // Who sends a choice of contexts has not been told of this one's id in vain, but may not have chosen it.
    if (!request || (request->flags & nbd::command_flag::payload_len) != 0) {
        return;
    }
    constexpr std::uint32_t status = 5;
    Chunk first = chunk;
    first.flags = 0;
    if (chunk.type == nbd::ChunkType::block_status) {
        first.payload =
            nbd::encode(nbd::BlockStatus{other_id, {{static_cast<std::uint32_t>(request->length), status}}});
        flow.to_client(first);
    } else if (chunk.type == nbd::ChunkType::block_status_ext) {
        first.payload = nbd::encode(nbd::BlockStatusExt{other_id, {{request->length, status}}});
        flow.to_client(first);
    }
}

/// There is another context, whose status comes first.
Recipe second_context() {
    return twist_with(
        false,
        [](bool& asked, OptionRequest& option) {
            if (option.option == Option::set_meta_context) {
                asked = false;
                edit<nbd::MetaContextRequest>(option.payload, [&](nbd::MetaContextRequest& request) {
                    asked = std::erase_if(request.queries,
                                          [](const auto& query) { return query.query == other_context; }) > 0;
                });
            }
        },
        [](bool& asked, OptionReply& reply, Flow& flow) {
            if (asked && reply.option == Option::set_meta_context && reply.type == OptionReplyType::ack) {
                const nbd::MetaContextReply context{other_id, std::string(other_context)};
                flow.to_client(
                    option_reply(reply.option, OptionReplyType::meta_context, nbd::encode(context)));
            }
        },
        [](bool& asked, Chunk& chunk, Flow& flow) {
            if (asked) {
                other_status_first(chunk, flow);
            }
        });
}

} // namespace

Table context_oddities() {
    return {
        {"second-context", "STATUS-CONTEXT-ORDER",
         "knows x-nbd-interop:other as well, and tells of it before contexts that were selected before it",
         second_context()},
        {"context-ids-high", "SET-META-OPAQUE", "has large numbers for the ids of metadata contexts",
         high_context_ids()},
    };
}

} // namespace faults
