// Faults of block status (NBD_CMD_BLOCK_STATUS, NBD_REPLY_TYPE_BLOCK_STATUS, `base:allocation`, and the
// extension of extended headers).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <limits>

namespace faults {

using nbd::ChunkType;
using nbd::Command;

namespace allocation = nbd::allocation_flag;

namespace {

constexpr std::uint64_t sector = 512;

bool is_status(const Chunk& chunk) {
    return chunk.type == ChunkType::block_status || chunk.type == ChunkType::block_status_ext;
}

/// For status chunks: `change(Chunk&, Request, Flow&)`.
template <class F>
Recipe on_status(F change) {
    return twist([change](Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (request && is_status(chunk)) {
            change(chunk, *request, flow);
        }
    });
}

bool one(const Request& request) {
    return (request.flags & nbd::command_flag::req_one) != 0;
}

Table layout() {
    return {
        {"status-no-extents", "STATUS-LENGTH", "sends status chunks without extents",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             if (chunk.type == ChunkType::block_status) {
                 chunk.payload.resize(4);
             }
         })},
        {"status-length", "STATUS-LENGTH", "sends status chunks with 4 bytes too many",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             if (chunk.type == ChunkType::block_status) {
                 chunk.payload.resize(chunk.payload.size() + 4);
             }
         })},
        {"status-ext-length", "STATUS-EXT-LENGTH",
         "sends NBD_REPLY_TYPE_BLOCK_STATUS_EXT with 8 bytes too many",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             if (chunk.type == ChunkType::block_status_ext) {
                 chunk.payload.resize(chunk.payload.size() + 8);
             }
         })},
        {"status-ext-count", "STATUS-EXT-COUNT",
         "counts one extent too many in NBD_REPLY_TYPE_BLOCK_STATUS_EXT",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             if (chunk.type == ChunkType::block_status_ext) {
                 chunk.payload[7] += 1;
             }
         })},
        {"status-type-3", "CHUNK-TYPE", "sends block status as chunk type 3, as a draft had it",
         on_status(
             [](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) { chunk.type = ChunkType{3}; })},
        {"status-compact-extended", "STATUS-COMPACT",
         "sends NBD_REPLY_TYPE_BLOCK_STATUS though extended headers were agreed",
         on_status([](Chunk& incoming, const Request& request, Flow& flow) {
             const auto told = payload_as<nbd::BlockStatusExt>(incoming.payload);
             if (incoming.type == ChunkType::block_status_ext && told) {
                 nbd::BlockStatus compact{told->context, {}};
                 for (const Extent& extent : told->descriptors) {
                     compact.descriptors.push_back({static_cast<std::uint32_t>(extent.length),
                                                    static_cast<std::uint32_t>(extent.status)});
                 }
                 answer(flow, chunk(flow.told(), request, ChunkType::block_status, nbd::encode(compact),
                                    incoming.done()));
             }
         })},
        {"status-extended-unnegotiated", "STATUS-EXTENDED",
         "sends NBD_REPLY_TYPE_BLOCK_STATUS_EXT though extended headers were not agreed",
         on_status([](Chunk& incoming, const Request& request, Flow& flow) {
             const auto told = payload_as<nbd::BlockStatus>(incoming.payload);
             if (incoming.type == ChunkType::block_status && told) {
                 nbd::BlockStatusExt extended{told->context, {}};
                 for (const nbd::StatusDescriptor& extent : told->descriptors) {
                     extended.descriptors.push_back({extent.length, extent.status});
                 }
                 answer(flow, chunk(flow.told(), request, ChunkType::block_status_ext, nbd::encode(extended),
                                    incoming.done()));
             }
         })},
    };
}

Table replies() {
    return {
        {"status-other-context", "STATUS-CONTEXT",
         "sends status for a metadata context that was not selected",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& flow) {
             const auto known = flow.told().contexts.size();
             nbd::detail::store_big(chunk.payload.data(), static_cast<std::uint32_t>(90 + known));
         })},
        {"status-missing", "STATUS-ALL-CONTEXTS", "answers block status requests with success and no status",
         on_status([](Chunk& /*chunk*/, const Request& request, Flow& flow) {
             answer(flow, success(flow.told(), request));
         })},
        {"status-twice", "STATUS-ONE-CHUNK", "sends the status of a metadata context twice",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& flow) {
             Chunk first = chunk;
             first.flags = 0;
             flow.to_client(first);
         })},
        {"status-simple", "STATUS-NO-SIMPLE", "answers block status requests by simple replies",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (!flow.told().extended && is_sound(flow.told(), request)) {
                            answer(flow, Reply{nbd::simple_reply_magic, nbd::Error::none, request.cookie});
                        }
                    })},
        {"status-error-untold", "STATUS-ERROR-CHUNK",
         "answers block status requests that fail with success and no status",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type == Command::block_status && nbd::is_error(chunk.type)) {
                 answer(flow, success(flow.told(), *request));
             }
         })},
        {"status-simple-with-payload", "SIMPLE-NO-PAYLOAD",
         "sends the extents of block status behind a simple reply",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& flow) {
             if (!flow.told().extended) {
                 answer(flow, Reply{nbd::simple_reply_magic, nbd::Error::none, chunk.cookie, chunk.payload});
             }
         })},
        {"status-to-read", "STATUS-PLACE", "answers reads with a status chunk, too",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(
                 status_chunk(flow.told(), request, std::max<std::uint64_t>(request.length, 1), false));
             flow.to_client(content(flow.told(), request, data));
         })},
        {"status-never-done", "CHUNK-DONE-SET", "leaves NBD_REPLY_FLAG_DONE clear in the last status chunk",
         on_status([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) { chunk.flags = 0; })},
        {"status-unselected", "STATUS-UNSELECTED",
         "tells block status though no metadata context was selected",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (flow.told().contexts.empty() && flow.told().chunks()) {
                            answer(flow, status_chunk(flow.told(), request,
                                                      std::max<std::uint64_t>(request.length, 1), true));
                        }
                    })},
        {"status-past-end-served", "STATUS-PAST-END", "tells block status beyond the end of the export",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (past_end(flow.told(), request) && !flow.told().contexts.empty()) {
                            answer(flow, status_chunk(flow.told(), request,
                                                      std::max<std::uint64_t>(request.length, 1), true));
                        }
                    })},
    };
}

Table extents() {
    return {
        {"extent-empty", "STATUS-NOT-EMPTY", "sends an extent of length 0",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request)) {
                 extents.insert(extents.begin(), {0, 0});
             }
         })},
        {"extent-only-empty", "STATUS-NOT-EMPTY", "sends nothing but an extent of length 0",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 extents.assign(1, {0, 0});
             })},
        {"req-one-two", "STATUS-REQ-ONE", "sends two extents though one was asked for",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (one(request) && request.length > sector) {
                 extents = {{sector, 0}, {request.length - sector, 0}};
             }
         })},
        {"req-one-long", "STATUS-REQ-ONE",
         "sends an extent that is longer than the request though one was asked for",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (one(request)) {
                 extents.assign(1, {request.length + sector, 0});
             }
         })},
        {"extents-too-many", "STATUS-SUM", "goes on with extents after the end of the request",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request)) {
                 extents = {{request.length, 0}, {sector, 0}};
             }
         })},
        {"extents-unaligned", "STATUS-ALIGNED",
         "advertises a minimum block size of 512 and tells extents of other lengths",
         twist(
             [](OptionReply& reply) {
                 if (info_type(reply) == nbd::InfoType::block_size) {
                     edit<nbd::InfoBlockSize>(reply.payload,
                                              [](nbd::InfoBlockSize& block) { block.minimum = sector; });
                 }
             },
             [](Chunk& incoming, Flow& flow) {
                 const auto request = flow.told().request(incoming.cookie);
                 if (request && is_status(incoming)) {
                     answer(flow,
                            status_chunk(flow.told(), *request, std::min<std::uint64_t>(request->length, 100),
                                         incoming.done()));
                 }
             })},
        {"extents-of-1000", "STATUS-512", "tells extents of 1000 bytes",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request) && request.length > 2000) {
                 extents = {{1000, 0}, {request.length - 1000, 0}};
             }
         })},
        {"extents-unmerged", "STATUS-MERGED", "tells each sector apart, however equal they are",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request) && request.length > 2 * sector) {
                 extents = {{sector, 0}, {sector, 0}};
             }
         })},
        {"extents-a-million", "STATUS-MANY", "sends more than 2^20 extents in a chunk",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request) && request.length > nbd::max_status_descriptors) {
                 extents.assign(nbd::max_status_descriptors + 1, {1, 0});
             }
         })},
        {"extent-beyond-end", "STATUS-EXTENTS",
         "tells of an extent that goes far beyond the end of the export",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             if (!one(request)) {
                 extents.assign(1, {std::numeric_limits<std::uint32_t>::max() - (sector - 1), 0});
             }
         })},
        {"extent-lies", "STATUS-EXTENTS", "says of everything that it reads as zeroes",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 for (Extent& extent : extents) {
                     extent.status = allocation::hole | allocation::zero;
                 }
             })},
        {"allocation-reserved", "ALLOCATION-RESERVED", "sets a reserved status flag of base:allocation",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 for (Extent& extent : extents) {
                     extent.status |= 1U << 5;
                 }
             })},
        {"allocation-64-bits", "ALLOCATION-32-BITS", "sets an upper bit of the status of base:allocation",
         on_extents([](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& told) {
             for (Extent& extent : extents) {
                 extent.status |= told.extended ? std::uint64_t{1} << 40 : 0;
             }
         })},
    };
}

} // namespace

Table status_faults() {
    return joined({layout, replies, extents});
}

} // namespace faults
