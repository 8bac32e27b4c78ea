// What servers may do in the transmission phase and seldom do.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using namespace std::chrono_literals;

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;

namespace ask = nbd::command_flag;

namespace {

constexpr std::size_t sector = 512;

/// Reads are answered in chunks of this many bytes at most; `backwards`: the last one first.
Recipe split(std::size_t bytes, bool backwards) {
    return on_chunked_read([bytes, backwards](const Request& request, nbd::Buffer& data, Flow& flow) {
        // What is asked for in one go by a copying client would be too many messages.
        const std::size_t size = data.size() > 65536 ? std::max(bytes, data.size() / 64) : bytes;
        const std::size_t count = (data.size() + size - 1) / size;
        if (count == 0 || (request.flags & ask::df) != 0) {
            flow.to_client(data.empty() ? success(flow.told(), request)
                                        : content(flow.told(), request, data));
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t from = (backwards ? count - 1 - i : i) * size;
            flow.to_client(data_chunk(flow.told(), request, request.offset + from,
                                      part(data, from, std::min(from + size, data.size())), i + 1 == count));
        }
    });
}

/// Data and zeroes of a read, sector by sector.
void send_with_holes(const Request& request, const nbd::Buffer& data, Flow& flow) {
    for (std::size_t from = 0; from < data.size(); from += sector) {
        const nbd::Buffer some = part(data, from, std::min(from + sector, data.size()));
        const bool zero = std::ranges::all_of(some, [](std::uint8_t byte) { return byte == 0; });
        if (zero) {
            const nbd::OffsetHole hole{request.offset + from, static_cast<std::uint32_t>(some.size())};
            flow.to_client(chunk(flow.told(), request, ChunkType::offset_hole, nbd::encode(hole), false));
        } else {
            flow.to_client(data_chunk(flow.told(), request, request.offset + from, some, false));
        }
    }
    flow.to_client(success(flow.told(), request));
}

/// The third request of this kind fails, whenever it is tried.
Recipe third_fails(Command command, Error error) {
    return on_request(command, [error, bad = BadSpot{}](Request& request, Flow& flow) mutable {
        if (bad.hit(request)) {
            answer(flow, failure(flow.told(), request, error));
        }
    });
}

/// Errors come with this message.
Recipe error_text(std::string text) {
    return twist([text](Chunk& chunk) {
        if (chunk.type == ChunkType::error) {
            edit<nbd::ErrorChunk>(chunk.payload, [&](nbd::ErrorChunk& error) { error.message = text; });
        }
    });
}

bool one(const Request& request) {
    return (request.flags & ask::req_one) != 0;
}

/// A reply that waits for another one to overtake it.
using Overtaken = std::optional<Message>;

template <class M>
void let_overtake(Overtaken& held, M& reply, Flow& flow, bool last) {
    const auto request = flow.told().request(reply.cookie);
    if (!last || !request || request->type == Command::resize) {
        return;
    }
    if (held) {
        flow.forward();
        flow.to_client(*std::exchange(held, std::nullopt));
    } else if (flow.told().asked.size() > 1) {
        held = reply;
        flow.drop();
    }
}

/// The second half of a reply that another one has to come between.
using Interrupted = std::optional<Chunk>;

/// Sends half of the content, and keeps the rest back.
void interrupt(Interrupted& held, const Chunk& chunk, Flow& flow) {
    constexpr std::size_t head = sizeof(std::uint64_t);
    const std::size_t half = head + (chunk.payload.size() - head) / 2;
    Chunk first = chunk;
    first.flags = 0;
    first.payload.resize(half);
    Chunk rest = chunk;
    const auto offset = nbd::detail::load_big<std::uint64_t>(chunk.payload.data());
    rest.payload.erase(rest.payload.begin() + static_cast<std::ptrdiff_t>(head),
                       rest.payload.begin() + static_cast<std::ptrdiff_t>(half));
    nbd::detail::store_big(rest.payload.data(), offset + half - head);
    flow.to_client(first);
    flow.drop();
    held = rest;
}

/// True for a reply of one chunk that can be halved while others are to come.
bool can_be_interrupted(const Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    return request && request->type == Command::read && (request->flags & ask::df) == 0 &&
           chunk.type == ChunkType::offset_data && chunk.done() && request->length > 1 &&
           chunk.payload.size() == sizeof(std::uint64_t) + request->length && told.asked.size() > 1 &&
           std::ranges::none_of(told.asked,
                                [](const auto& entry) { return entry.second.type == Command::resize; });
}

Table timing() {
    return {
        {"bytes-one-by-one", "HANDSHAKE-COMPLETES", "sends all that it sends byte by byte",
         twist([](Greeting& /*greeting*/, Flow& flow) { flow.in_pieces(Side::client, 1); })},
        {"pieces-of-seven", "HANDSHAKE-COMPLETES", "sends all that it sends in pieces of 7 bytes",
         twist([](Greeting& /*greeting*/, Flow& flow) { flow.in_pieces(Side::client, 7); })},
        {"replies-slow", "REPLIES-ANY-ORDER", "waits 50 ms before each reply",
         twist([](Reply& /*reply*/, Flow& flow) { flow.pause(Side::client, 50ms); },
               [](Chunk& /*chunk*/, Flow& flow) { flow.pause(Side::client, 50ms); })},
        {"replies-out-of-order", "REPLIES-ANY-ORDER",
         "answers the first of several requests after the second",
         twist_with(
             Overtaken{},
             [](Overtaken& held, Reply& reply, Flow& flow) { let_overtake(held, reply, flow, true); },
             [](Overtaken& held, Chunk& chunk, Flow& flow) {
                 let_overtake(held, chunk, flow, chunk.done());
             })},
        {"disc-slow", "DISC-ENDS", "closes the connection half a second after NBD_CMD_DISC",
         twist([](Ended ended, Flow& flow) {
             if (ended.who == Side::server) {
                 flow.pause(Side::client, 500ms);
             }
         })},
        {"hangs-up-on-breach", "CONNECTION-LOST", "closes the connection on a request beyond the end",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && past_end(flow.told(), request)) {
                 flow.hang_up();
             }
         })},
        {"shutdown", "SHUTDOWN-DISC", "answers NBD_ESHUTDOWN from the fifth request on",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && flow.told().requests > 4 &&
                 is_sound(flow.told(), request)) {
                 answer(flow, failure(flow.told(), request, Error::shutdown));
             }
         })},
    };
}

Table reads() {
    return {
        {"chunks-interleaved", "CHUNKS-INTERLEAVED",
         "sends the reply to another request between two chunks of a read",
         twist_with(
             Interrupted{},
             [](Interrupted& held, Reply& /*reply*/, Flow& flow) {
                 if (held) {
                     flow.forward();
                     flow.to_client(*std::exchange(held, std::nullopt));
                 }
             },
             [](Interrupted& held, Chunk& chunk, Flow& flow) {
                 if (held && chunk.done()) {
                     flow.forward();
                     flow.to_client(*std::exchange(held, std::nullopt));
                 } else if (!held && can_be_interrupted(chunk, flow.told())) {
                     interrupt(held, chunk, flow);
                 }
             })},
        {"chunks-of-a-byte", "CONTENT-REASSEMBLED", "sends reads in chunks of one byte", split(1, false)},
        {"chunks-of-a-sector", "CONTENT-REASSEMBLED", "sends reads in chunks of 512 bytes",
         split(sector, false)},
        {"chunks-backwards", "CONTENT-REASSEMBLED", "sends reads in chunks of 512 bytes, the last one first",
         split(sector, true)},
        {"chunks-none-last", "NONE-SUCCEEDS", "ends reads by NBD_REPLY_TYPE_NONE",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (!data.empty()) {
                 flow.to_client(data_chunk(flow.told(), request, request.offset, data, false));
             }
             flow.to_client(success(flow.told(), request));
         })},
        {"chunks-holes", "CONTENT-REASSEMBLED", "sends each sector of zeroes as a hole",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if ((request.flags & ask::df) == 0) {
                 send_with_holes(request, data, flow);
             } else {
                 flow.to_client(content(flow.told(), request, data));
             }
         })},
        {"df-refused-over-64k", "READ-RETRY-SMALLER",
         "answers NBD_EOVERFLOW to reads with NBD_CMD_FLAG_DF of more than 65536 bytes",
         refuse_sound(Error::overflow,
                      [](const Request& request, const Conversation& told) {
                          return request.type == Command::read && (request.flags & ask::df) != 0 &&
                                 request.length > nbd::min_df_read && !past_end(told, request);
                      })},
        {"read-fails", "ERROR-REPORTED", "answers NBD_EIO to the third read",
         third_fails(Command::read, Error::io)},
        {"read-fails-late", "ERROR-CHUNK-FAILS",
         "sends half of the third read, and then an error with its offset",
         on_chunked_read([bad = BadSpot{}](const Request& request, nbd::Buffer& data, Flow& flow) mutable {
             if (!bad.hit(request) || data.size() < 2) {
                 flow.to_client(data.empty() ? success(flow.told(), request)
                                             : content(flow.told(), request, data));
                 return;
             }
             const std::size_t half = data.size() / 2;
             flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, half), false));
             flow.to_client(chunk(
                 flow.told(), request, ChunkType::error_offset,
                 nbd::encode(nbd::ErrorOffsetChunk{Error::io, "bad sector", request.offset + half}), true));
         })},
        {"read-fails-early", "ERROR-NO-PARTIAL",
         "sends an error first and the data of the third read after it",
         on_chunked_read([bad = BadSpot{}](const Request& request, nbd::Buffer& data, Flow& flow) mutable {
             if (bad.hit(request) && !data.empty()) {
                 flow.to_client(error_chunk(flow.told(), request, Error::io, false, "some of it is bad"));
             }
             flow.to_client(data.empty() ? success(flow.told(), request)
                                         : content(flow.told(), request, data));
         })},
    };
}

Table errors() {
    return {
        {"write-fails", "ERROR-REPORTED", "answers NBD_ENOSPC to the third write",
         third_fails(Command::write, Error::nospc)},
        {"error-text", "ERROR-LAYOUT", "sends a message with errors", error_text("it cannot be done")},
        {"error-text-utf8", "ERROR-LAYOUT", "sends messages that are not ASCII with errors",
         error_text("unm\xc3\xb6glich \xe2\x98\xb9")},
        {"error-text-4096", "ERROR-LAYOUT", "sends messages of 4096 bytes with errors",
         error_text(std::string(nbd::max_string, 'e'))},
        {"error-offsets", "ERROR-CHUNK-FAILS", "tells the offset with errors of reads",
         twist([](Chunk& incoming, Flow& flow) {
             const auto request = flow.told().request(incoming.cookie);
             const auto error = payload_as<nbd::ErrorChunk>(incoming.payload);
             if (request && request->type == Command::read && request->length > 0 &&
                 incoming.type == ChunkType::error && error) {
                 answer(flow, chunk(flow.told(), *request, ChunkType::error_offset,
                                    nbd::encode(
                                        nbd::ErrorOffsetChunk{error->error, error->message, request->offset}),
                                    incoming.done()));
             }
         })},
        {"error-then-none", "NONE-SUCCEEDS", "ends replies that have an error by NBD_REPLY_TYPE_NONE",
         twist([](Chunk& incoming, Flow& flow) {
             const auto request = flow.told().request(incoming.cookie);
             if (request && nbd::is_error(incoming.type) && incoming.done()) {
                 Chunk first = incoming;
                 first.flags = 0;
                 flow.to_client(first);
                 answer(flow, success(flow.told(), *request));
             }
         })},
        {"errors-simple", "BASELINE-SIMPLE", "sends errors as simple replies, but those of reads",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             const auto error = payload_as<nbd::ErrorChunk>(chunk.payload);
             if (request && request->type != Command::read && chunk.type == ChunkType::error &&
                 chunk.done() && error && !flow.told().extended) {
                 answer(flow, Reply{nbd::simple_reply_magic, error->error, chunk.cookie});
             }
         })},
        {"successes-simple", "BASELINE-SIMPLE", "answers all that has no data by simple replies",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type != Command::read && chunk.type == ChunkType::none &&
                 !flow.told().extended) {
                 answer(flow, Reply{nbd::simple_reply_magic, Error::none, chunk.cookie});
             }
         })},
        {"error-value-unknown", "ERROR-UNEXPECTED",
         "sends an error value that the specification does not have",
         on_error([](Error& error, const Request& /*request*/) { error = Error{4321}; })},
        {"error-chunk-unknown", "ERROR-UNKNOWN-FAILS", "sends errors in chunks of an unknown type",
         twist([](Chunk& chunk) {
             if (chunk.type == ChunkType::error) {
                 chunk.type = unknown_error_chunk;
                 chunk.payload.insert(chunk.payload.end(), {1, 2, 3});
             }
         })},
        {"chunk-hint-flag", "CHUNK-FLAGS-IGNORED", "sets a reply flag that may be a hint",
         twist([](Chunk& chunk) { chunk.flags |= 1U << 15; })},
        {"empty-refused", "REQUEST-NOT-EMPTY", "answers NBD_EINVAL to requests of length 0",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.length == 0 && request.type != Command::flush &&
                                 request.type <= Command::block_status;
                      })},
        {"cache-refused", "CACHE-HARMLESS", "answers NBD_EINVAL to all cache requests",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::cache;
                      })},
        {"trim-idle", "TRIM-NO-ASSUMPTION", "answers trims with success and leaves the data as they are",
         pretend([](const Request& request, const Conversation& told) {
             return request.type == Command::trim && is_sound(told, request);
         })},
        {"fast-zero-never", "FAST-ZERO",
         "answers NBD_ENOTSUP to all writes of zeroes with NBD_CMD_FLAG_FAST_ZERO",
         refuse_sound(Error::notsup,
                      [](const Request& request, const Conversation& told) {
                          return request.type == Command::write_zeroes &&
                                 (request.flags & ask::fast_zero) != 0 && !past_end(told, request);
                      })},
    };
}

Table status() {
    return {
        {"status-short", "STATUS-LENGTH-HINT", "tells the status of no more than 512 bytes at a time",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             extents.resize(1);
             extents.front().length = std::min(
                 {extents.front().length, std::uint64_t{sector}, std::max<std::uint64_t>(request.length, 1)});
         })},
        {"status-split", "STATUS-SAME-STATUS", "tells the status of each 512 bytes apart",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& /*told*/) {
             std::vector<Extent> split;
             std::uint64_t covered = 0;
             for (const Extent& extent : extents) {
                 for (std::uint64_t done = 0;
                      done < extent.length && covered < request.length && split.size() < 4096;) {
                     const std::uint64_t some = std::min<std::uint64_t>(extent.length - done, sector);
                     split.push_back({some, extent.status});
                     done += some;
                     covered += some;
                 }
             }
             if (!one(request) && !split.empty()) {
                 extents = split;
             }
         })},
        {"status-long", "STATUS-LENGTH-HINT",
         "tells the status up to the end of the export, unless one extent was asked for",
         on_extents([](std::vector<Extent>& extents, const Request& request, const Conversation& told) {
             std::uint64_t covered = 0;
             for (const Extent& extent : extents) {
                 covered += extent.length;
             }
             const std::uint64_t end = told.size - request.offset;
             if (!one(request) && covered < end && covered - extents.back().length < request.length &&
                 end < 0xffffffff) {
                 extents.back() = {extents.back().length + end - covered, 0};
             }
         })},
        {"status-unknown", "STATUS-DETAIL", "never knows of holes or zeroes",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 for (Extent& extent : extents) {
                     extent.status = 0;
                 }
             })},
        {"status-holes-only", "ALLOCATION-HOLE-UNDEFINED",
         "says of everything that it is a hole, and not what it reads as",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 for (Extent& extent : extents) {
                     extent.status = nbd::allocation_flag::hole;
                 }
             })},
        {"status-reserved-flags", "ALLOCATION-UNKNOWN-FLAGS", "sets status flags that mean nothing yet",
         on_extents(
             [](std::vector<Extent>& extents, const Request& /*request*/, const Conversation& /*told*/) {
                 for (Extent& extent : extents) {
                     extent.status |= 1U << 9;
                 }
             })},
    };
}

} // namespace

Table reply_oddities() {
    return joined({timing, reads, errors, status});
}

} // namespace faults
