// Faults of reads: the data, and the chunks that they come in (NBD_CMD_READ, NBD_REPLY_TYPE_OFFSET_DATA,
// NBD_REPLY_TYPE_OFFSET_HOLE).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;

namespace {

constexpr std::uint64_t sector = 512;

bool fragments_not(const Request& request) {
    return request.type == Command::read && (request.flags & nbd::command_flag::df) != 0;
}

/// A read that succeeds, with chunks, may be fragmented, and is long enough for it.
template <class F>
Recipe on_long_chunked_read(F reply) {
    return on_chunked_read([reply](const Request& request, nbd::Buffer& data, Flow& flow) mutable {
        if (data.size() < 2 || fragments_not(request)) {
            flow.to_client(content(flow.told(), request, data));
        } else {
            reply(request, data, flow);
        }
    });
}

Chunk hole(const Conversation& told, const Request& request, std::uint64_t offset, std::uint32_t length,
           bool last) {
    return chunk(told, request, ChunkType::offset_hole, nbd::encode(nbd::OffsetHole{offset, length}), last);
}

/// Data of this read are changed.
template <class F>
Recipe on_data(F change) {
    return on_read([change](const Request& request, nbd::Buffer& data, Flow& flow) {
        change(request, data, flow.told());
        flow.to_client(content(flow.told(), request, data));
    });
}

/// What a connection has read, by offset and length.
using Seen = std::map<std::pair<std::uint64_t, std::uint64_t>, nbd::Buffer>;

Table data() {
    return {
        {"read-unimplemented", "BASELINE-READ", "refuses all reads",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::read;
                      })},
        {"read-byte-early", "READ-DATA", "reads one byte too early",
         mistake([](Request& request, const Conversation& /*told*/) {
             request.offset -= request.type == Command::read && request.offset > 0 ? std::uint64_t{1} : 0;
         })},
        {"read-rounded", "READ-DATA", "reads from the start of the sector that the offset lies in",
         on_data([](const Request& request, nbd::Buffer& data, const Conversation& /*told*/) {
             const auto skip =
                 static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(request.offset % sector, data.size()));
             std::rotate(data.begin(), data.begin() + skip, data.end());
         })},
        {"read-zeroes", "READ-DATA", "reads zeroes everywhere",
         on_data([](const Request& /*request*/, nbd::Buffer& data, const Conversation& /*told*/) {
             std::ranges::fill(data, std::uint8_t{0});
         })},
        {"read-last-byte-wrong", "READ-DATA", "gets the last byte of each read wrong",
         on_data([](const Request& /*request*/, nbd::Buffer& data, const Conversation& /*told*/) {
             if (!data.empty()) {
                 data.back() ^= 1U;
             }
         })},
        {"read-stale", "MULTI-CONN", "remembers what a connection has read until that connection writes",
         twist_with(
             Seen{},
             [](Seen& seen, Request& request, Flow& flow) {
                 if (changes_disk(request.type)) {
                     seen.clear();
                 }
                 const auto found = seen.find({request.offset, request.length});
                 if (request.type == Command::read && found != seen.end() && is_sound(flow.told(), request)) {
                     answer(flow, content(flow.told(), request, found->second));
                 }
             },
             [](Seen& seen, Reply& reply, Flow& flow) {
                 const auto request = flow.told().request(reply.cookie);
                 if (request && request->type == Command::read && reply.error == Error::none) {
                     seen[{request->offset, request->length}] = reply.data;
                 }
             },
             [](Seen& seen, Chunk& chunk, Flow& flow) {
                 const auto request = flow.told().request(chunk.cookie);
                 if (request && chunk.done() && chunk.type == ChunkType::offset_data &&
                     chunk.payload.size() == request->length + sizeof(std::uint64_t)) {
                     seen[{request->offset, request->length}] = part(chunk.payload, 8, chunk.payload.size());
                 }
             })},
        {"read-last-sector-fails", "READ-DATA", "refuses reads that touch the last sector",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& told) {
                          return request.type == Command::read && !past_end(told, request) &&
                                 request.offset + request.length + sector > told.size;
                      })},
        {"read-simple-short", "READ-SIMPLE-LENGTH",
         "sends one byte less than was asked for in simple replies", twist([](Reply& reply) {
             if (!reply.data.empty()) {
                 reply.data.pop_back();
             }
         })},
        {"read-simple-long", "READ-SIMPLE-LENGTH", "sends one byte more than was asked for in simple replies",
         twist([](Reply& reply) {
             if (!reply.data.empty()) {
                 reply.data.push_back(0);
             }
         })},
    };
}

Table content_chunks() {
    return {
        {"read-nothing", "READ-COVERED", "answers reads with success and without data",
         on_chunked_read([](const Request& request, nbd::Buffer& /*data*/, Flow& flow) {
             flow.to_client(success(flow.told(), request));
         })},
        {"read-half", "READ-COVERED", "sends only the first half of what was asked for",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             data.resize(data.size() / 2);
             flow.to_client(content(flow.told(), request, data));
         })},
        {"read-twice", "CONTENT-ONCE", "sends the data of a read twice",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(data_chunk(flow.told(), request, request.offset, data, false));
             flow.to_client(content(flow.told(), request, data));
         })},
        {"read-overlap", "CONTENT-ONCE", "sends chunks that overlap by one byte",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             const std::size_t half = data.size() / 2;
             flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, half), false));
             flow.to_client(data_chunk(flow.told(), request, request.offset + half - 1,
                                       part(data, half - 1, data.size()), true));
         })},
        {"read-unaligned-chunks", "CONTENT-512", "splits reads into chunks of 1000 bytes",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             constexpr std::size_t most = 1000;
             for (std::size_t from = 0; from < data.size(); from += most) {
                 const std::size_t to = std::min(from + most, data.size());
                 flow.to_client(data_chunk(flow.told(), request, request.offset + from, part(data, from, to),
                                           to == data.size()));
             }
         })},
        {"read-too-much", "CONTENT-IN-REQUEST", "sends one byte more than was asked for",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             data.push_back(0);
             flow.to_client(content(flow.told(), request, data));
         })},
        {"read-relative", "CONTENT-IN-REQUEST", "counts the offsets of chunks from the start of the request",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && (chunk.type == ChunkType::offset_data || chunk.type == ChunkType::offset_hole) &&
                 chunk.payload.size() >= sizeof(std::uint64_t)) {
                 const auto offset = nbd::detail::load_big<std::uint64_t>(chunk.payload.data());
                 nbd::detail::store_big(chunk.payload.data(), offset - request->offset);
             }
         })},
        {"data-empty", "DATA-LENGTH", "sends NBD_REPLY_TYPE_OFFSET_DATA without data",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(data_chunk(flow.told(), request, request.offset, {}, false));
             flow.to_client(content(flow.told(), request, data));
         })},
        {"data-to-write", "DATA-PLACE", "answers NBD_CMD_WRITE with NBD_REPLY_TYPE_OFFSET_DATA, too",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type == Command::write && chunk.done()) {
                 flow.to_client(data_chunk(flow.told(), *request, request->offset, {0}, false));
             }
         })},
        {"data-to-cache", "DATA-PLACE", "answers NBD_CMD_CACHE with the data",
         on_request(Command::cache,
                    [](Request& request, Flow& flow) {
                        if (flow.told().chunks() && is_sound(flow.told(), request)) {
                            answer(flow, content(flow.told(), request, nbd::Buffer(512)));
                        }
                    })},
        {"hole-to-write", "HOLE-PLACE", "answers NBD_CMD_WRITE with NBD_REPLY_TYPE_OFFSET_HOLE, too",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type == Command::write && chunk.done()) {
                 flow.to_client(hole(flow.told(), *request, request->offset, 1, false));
             }
         })},
        {"hole-long", "HOLE-LENGTH", "sends NBD_REPLY_TYPE_OFFSET_HOLE with 16 bytes",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             // One byte that is zero, wherever it is, and the data on both sides of it.
             const auto at = static_cast<std::size_t>(std::ranges::find(data, 0) - data.begin());
             if (at == data.size()) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             if (at > 0) {
                 flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, at), false));
             }
             const bool last = at + 1 == data.size();
             Chunk some = hole(flow.told(), request, request.offset + at, 1, last);
             some.payload.resize(16);
             flow.to_client(some);
             if (!last) {
                 flow.to_client(data_chunk(flow.told(), request, request.offset + at + 1,
                                           part(data, at + 1, data.size()), true));
             }
         })},
        {"hole-empty", "HOLE-NOT-EMPTY", "sends a hole of 0 bytes",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(hole(flow.told(), request, request.offset, 0, false));
             flow.to_client(content(flow.told(), request, data));
         })},
        {"hole-for-data", "READ-DATA", "says of everything that is read that it is a hole",
         on_long_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(
                 hole(flow.told(), request, request.offset, static_cast<std::uint32_t>(data.size()), true));
         })},
        {"chunk-cut-short", "CHUNK-COMPLETED",
         "begins a chunk for all of a read that goes beyond the end, and breaks it off for an error",
         on_request(Command::read,
                    [](Request& request, Flow& flow) {
                        const Conversation& told = flow.told();
                        if (told.chunks() && request.offset < told.size && past_end(told, request)) {
                            const auto there = static_cast<std::size_t>(
                                std::min<std::uint64_t>(told.size - request.offset, sector));
                            Chunk begun =
                                data_chunk(told, request, request.offset, nbd::Buffer(there), false);
                            begun.length = sizeof(std::uint64_t) + request.length;
                            flow.to_client(begun);
                            answer(flow, error_chunk(told, request, Error::inval, true));
                        }
                    })},
        {"read-error-untold", "READ-ERROR-CHUNK",
         "ends the reply to a read that fails without an error chunk", twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type == Command::read && nbd::is_error(chunk.type)) {
                 answer(flow, success(flow.told(), *request));
             }
         })},
        {"read-simple-error-hangs-up", "READ-SIMPLE-ERROR",
         "closes the connection where a simple reply would tell that a read fails",
         twist([](Reply& reply, Flow& flow) {
             const auto request = flow.told().request(reply.cookie);
             if (request && request->type == Command::read && reply.error != Error::none) {
                 flow.hang_up();
             }
         })},
        {"chunk-over-maximum", "CHUNK-PAYLOAD",
         "advertises a maximum payload of 1 MiB and sends larger chunks", twist([](OptionReply& reply) {
             if (info_type(reply) == nbd::InfoType::block_size) {
                 edit<nbd::InfoBlockSize>(reply.payload,
                                          [](nbd::InfoBlockSize& block) { block.maximum = 1U << 20; });
             }
         })},
    };
}

Table unfragmented() {
    return {
        {"df-ignored", "DF-ONE-CHUNK", "sends reads with NBD_CMD_FLAG_DF in two chunks",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (!fragments_not(request) || data.size() < 2) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             const std::size_t half = data.size() / 2;
             flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, half), false));
             flow.to_client(data_chunk(flow.told(), request, request.offset + half,
                                       part(data, half, data.size()), true));
         })},
        {"df-hole-apart", "DF-HOLE-AS-DATA",
         "sends the zeroes at the end of a read with NBD_CMD_FLAG_DF as a hole behind the data",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             const auto zeroes = static_cast<std::size_t>(
                 std::find_if(data.rbegin(), data.rend(), [](std::uint8_t byte) { return byte != 0; }) -
                 data.rbegin());
             if (!fragments_not(request) || zeroes < sector || zeroes == data.size()) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             const std::size_t full = data.size() - zeroes;
             flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, full), false));
             flow.to_client(
                 hole(flow.told(), request, request.offset + full, static_cast<std::uint32_t>(zeroes), true));
         })},
        {"df-refused", "DF-64K", "refuses all reads with NBD_CMD_FLAG_DF",
         refuse_sound(Error::overflow, [](const Request& request,
                                          const Conversation& /*told*/) { return fragments_not(request); })},
        {"df-refused-with-content", "DF-OVERFLOW-EMPTY",
         "sends data with a read with NBD_CMD_FLAG_DF that it refuses as too large",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (!fragments_not(request) || data.size() <= nbd::min_df_read) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, sector), false));
             flow.to_client(error_chunk(flow.told(), request, Error::overflow, true));
         })},
    };
}

} // namespace

Table read_faults() {
    return joined({data, content_chunks, unfragmented});
}

} // namespace faults
