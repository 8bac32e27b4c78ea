// Faults of replies as such: magic number, cookie, style, flags, number (Simple reply message, Structured
// reply chunk message, Structured reply flags, and the extension of extended headers).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;

namespace {

/// More than an honest client has as a cookie.
constexpr std::uint64_t nobodys_cookie = 0x6e6f626f64790000;

/// Without content: what a simple reply may answer, too.
bool is_plain(const Chunk& chunk) {
    return chunk.type == ChunkType::none;
}

Reply as_simple(const Chunk& chunk) {
    return {nbd::simple_reply_magic, Error::none, chunk.cookie};
}

Table headers() {
    return {
        {"reply-magic", "REPLY-MAGIC", "begins replies with another magic number",
         twist([](Reply& reply) { reply.magic += 1; }, [](Chunk& chunk) { chunk.magic += 1; })},
        {"reply-cookie-off-by-one", "REPLY-COOKIE", "answers with the next cookie",
         twist([](Reply& reply) { reply.cookie += 1; }, [](Chunk& chunk) { chunk.cookie += 1; })},
        {"reply-cookie-32-bits", "COOKIE-OPAQUE", "answers with the lower half of the cookie",
         twist([](Reply& reply) { reply.cookie &= 0xffffffff; },
               [](Chunk& chunk) { chunk.cookie &= 0xffffffff; })},
        {"reply-cookie-swapped", "REPLY-COOKIE", "answers with the cookie in another order of bytes",
         twist([](Reply& reply) { reply.cookie = __builtin_bswap64(reply.cookie); },
               [](Chunk& chunk) { chunk.cookie = __builtin_bswap64(chunk.cookie); })},
        {"reply-twice", "REPLY-COOKIE", "answers NBD_CMD_WRITE twice",
         twist(
             [](Reply& reply, Flow& flow) {
                 const auto request = flow.told().request(reply.cookie);
                 if (request && request->type == Command::write) {
                     flow.to_client(reply);
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 const auto request = flow.told().request(chunk.cookie);
                 if (request && request->type == Command::write && chunk.done()) {
                     flow.to_client(chunk);
                 }
             })},
        {"reply-unasked", "REPLY-COOKIE", "answers a request that nobody has sent",
         on_request(Command::read,
                    [n = 0](Request& /*request*/, Flow& flow) mutable {
                        if (n++ == 0) {
                            Request nobodys;
                            nobodys.cookie = nobodys_cookie;
                            flow.to_client(success(flow.told(), nobodys));
                        }
                    })},
        {"reply-missing", "REQUEST-ANSWERED", "does not answer the second read",
         on_request(Command::read,
                    [n = 0](Request& /*request*/, Flow& flow) mutable {
                        if (++n == 2) {
                            flow.drop();
                        }
                    })},
        {"reply-half", "REQUEST-ANSWERED", "stops in the middle of its second reply to a read",
         on_read([n = 0](const Request& request, nbd::Buffer& data, Flow& flow) mutable {
             nbd::Buffer bytes = encode(content(flow.told(), request, data));
             if (++n == 2) {
                 bytes.resize(bytes.size() / 2);
             }
             if (n <= 2) {
                 flow.to_client(Raw{Side::server, bytes});
             }
         })},
    };
}

Table styles() {
    return {
        {"reply-simple-to-read", "READ-NO-SIMPLE",
         "answers reads by simple replies though structured ones were agreed",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (flow.told().extended) {
                 flow.to_client(content(flow.told(), request, data));
             } else {
                 flow.to_client(Reply{nbd::simple_reply_magic, Error::none, request.cookie, data});
             }
         })},
        {"reply-simple-error-to-read", "READ-NO-SIMPLE",
         "refuses reads by simple replies though structured ones were agreed",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && request->type == Command::read && nbd::is_error(chunk.type) &&
                 !flow.told().extended) {
                 const auto error = payload_as<nbd::AnyErrorChunk>(chunk.payload);
                 flow.to_client(
                     Reply{nbd::simple_reply_magic, error ? error->error : Error::io, chunk.cookie});
                 flow.drop();
             }
         })},
        {"reply-mixed", "REPLY-COMPLETE",
         "begins the reply to a block status request with a chunk and ends it with a simple reply",
         twist([](Chunk& chunk, Flow& flow) {
             if (chunk.type == ChunkType::block_status && chunk.done()) {
                 chunk.flags = 0;
                 flow.forward();
                 flow.to_client(Reply{nbd::simple_reply_magic, Error::io, chunk.cookie});
             }
         })},
        {"reply-chunk-unnegotiated", "CHUNK-NEGOTIATED",
         "sends chunks though structured replies were not agreed", twist([](Reply& reply, Flow& flow) {
             const auto request = flow.told().request(reply.cookie);
             if (request && !flow.told().chunks()) {
                 Chunk instead;
                 instead.cookie = reply.cookie;
                 instead.flags = nbd::reply_flag::done;
                 if (reply.error != Error::none) {
                     instead = error_chunk(flow.told(), *request, reply.error, true);
                 } else if (request->type == Command::read && !reply.data.empty()) {
                     instead = data_chunk(flow.told(), *request, request->offset, reply.data, true);
                 }
                 answer(flow, instead);
             }
         })},
        {"reply-extended-unnegotiated", "EXTENDED-NEGOTIATED",
         "sends extended headers though only structured replies were agreed",
         twist([](Chunk& chunk, Flow& flow) {
             const auto request = flow.told().request(chunk.cookie);
             if (request && !flow.told().extended) {
                 chunk.style = nbd::HeaderStyle::extended;
                 chunk.magic = nbd::extended_reply_magic;
                 chunk.offset = request->offset;
             }
         })},
        {"reply-simple-extended", "EXTENDED-NO-SIMPLE",
         "sends simple replies though extended headers were agreed", twist([](Chunk& chunk, Flow& flow) {
             if (flow.told().extended && is_plain(chunk)) {
                 answer(flow, as_simple(chunk));
             }
         })},
        {"reply-compact-extended", "EXTENDED-NO-COMPACT",
         "sends compact headers though extended ones were agreed", twist([](Chunk& chunk) {
             chunk.style = nbd::HeaderStyle::compact;
             chunk.magic = nbd::structured_reply_magic;
         })},
        {"reply-compact-for-structured", "EXTENDED-PRECEDENCE",
         "sends compact headers to a client that has asked for structured replies, too, before or after",
         twist_with(
             false,
             [](bool& asked, OptionRequest& option) {
                 asked = asked || option.option == nbd::Option::structured_reply;
             },
             [](bool& asked, Chunk& chunk) {
                 if (asked) {
                     chunk.style = nbd::HeaderStyle::compact;
                     chunk.magic = nbd::structured_reply_magic;
                 }
             })},
        {"reply-extended-offset", "EXTENDED-OFFSET", "tells another offset than that of the request",
         twist([](Chunk& chunk) { chunk.offset += 512; })},
        {"chunk-reserved-flag", "CHUNK-FLAGS", "sets a reply flag that means nothing",
         twist([](Chunk& chunk) { chunk.flags |= 1U << 3; })},
        {"chunk-unknown-type", "CHUNK-TYPE", "sends a chunk of an unknown type",
         twist([](Chunk& incoming, Flow& flow) {
             const auto request = flow.told().request(incoming.cookie);
             if (request && incoming.done()) {
                 flow.to_client(chunk(flow.told(), *request, ChunkType{99}, {1, 2, 3, 4}, false));
             }
         })},
        {"chunk-after-done", "CHUNK-DONE-LAST", "sets NBD_REPLY_FLAG_DONE in the chunk before the last one",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(content(flow.told(), request, data));
             flow.to_client(success(flow.told(), request));
         })},
        {"chunk-never-done", "CHUNK-DONE-SET", "leaves NBD_REPLY_FLAG_DONE clear in the last chunk of a read",
         twist([](Chunk& chunk) {
             if (chunk.type == ChunkType::offset_data || chunk.type == ChunkType::offset_hole) {
                 chunk.flags = 0;
             }
         })},
        {"none-without-done", "NONE-DONE", "leaves NBD_REPLY_FLAG_DONE clear in NBD_REPLY_TYPE_NONE",
         twist([](Chunk& chunk, Flow& flow) {
             if (chunk.type == ChunkType::none) {
                 Chunk first = chunk;
                 first.flags = 0;
                 flow.to_client(first);
             }
         })},
        {"none-with-data", "NONE-LENGTH", "sends data with NBD_REPLY_TYPE_NONE", twist([](Chunk& chunk) {
             if (chunk.type == ChunkType::none) {
                 chunk.payload.resize(4);
             }
         })},
    };
}

} // namespace

Table reply_faults() {
    return joined({headers, styles});
}

} // namespace faults
