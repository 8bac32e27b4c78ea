// Faults of how a server tells errors (Error values, NBD_REPLY_TYPE_ERROR, NBD_REPLY_TYPE_ERROR_OFFSET).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;

namespace {

/// EROFS of Linux, which no server may send.
constexpr Error of_the_host{30};

/// For error chunks: `change(Chunk&, Request, Flow&)`.
template <class F>
Recipe on_error_chunk(F change) {
    return twist([change](Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (request && nbd::is_error(chunk.type)) {
            change(chunk, *request, flow);
        }
    });
}

Error error_of(const Chunk& chunk) {
    const auto decoded = payload_as<nbd::AnyErrorChunk>(chunk.payload);
    return decoded ? decoded->error : Error::io;
}

/// The message of error chunks.
Recipe on_message(std::string text) {
    return on_error_chunk([text](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
        chunk.type = ChunkType::error;
        chunk.payload = nbd::encode(nbd::ErrorChunk{error_of(chunk), text});
    });
}

Chunk error_at(const Conversation& told, const Request& request, Error error, std::uint64_t offset,
               bool last) {
    return chunk(told, request, ChunkType::error_offset,
                 nbd::encode(nbd::ErrorOffsetChunk{error, {}, offset}), last);
}

Table values() {
    return {
        {"error-of-the-host", "ERROR-VALUE", "sends the numbers that the host has for errors",
         on_error([](Error& error, const Request& /*request*/) { error = of_the_host; })},
        {"error-zero", "ERROR-NOT-ZERO", "sends error chunks with the error 0",
         on_error_chunk([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             edit<nbd::AnyErrorChunk>(chunk.payload,
                                      [](nbd::AnyErrorChunk& error) { error.error = Error::none; });
         })},
        {"error-overflow", "OVERFLOW-PLACE", "sends NBD_EOVERFLOW for unknown commands",
         on_error([](Error& error, const Request& request) {
             error = request.type > Command::resize ? Error::overflow : error;
         })},
        {"error-notsup", "NOTSUP-PLACE", "sends NBD_ENOTSUP for unknown commands",
         on_error([](Error& error, const Request& request) {
             error = request.type > Command::resize ? Error::notsup : error;
         })},
        {"error-with-data", "SIMPLE-ERROR-NO-DATA",
         "sends as many bytes as were asked for with the simple reply to a read that fails",
         twist([](Reply& reply, Flow& flow) {
             const auto request = flow.told().request(reply.cookie);
             if (request && request->type == Command::read && reply.error != Error::none) {
                 reply.data.resize(static_cast<std::size_t>(std::min<std::uint64_t>(request->length, 65536)));
             }
         })},
    };
}

/// Errors come in such chunks, with a message that would go on beyond their end.
Recipe overrunning(ChunkType type) {
    return on_error_chunk([type](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
        chunk.type = type;
        chunk.payload = nbd::encode(nbd::ErrorChunk{error_of(chunk), "no"});
        chunk.payload[4] = 0x0c;
    });
}

Table chunks() {
    return {
        {"error-short", "ERROR-LENGTH", "sends NBD_REPLY_TYPE_ERROR with 4 bytes",
         on_error_chunk([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             chunk.type = ChunkType::error;
             chunk.payload.resize(4);
         })},
        {"error-message-overruns", "ERROR-LENGTH",
         "announces a longer message than NBD_REPLY_TYPE_ERROR has room for", overrunning(ChunkType::error)},
        {"error-unknown-overruns", "ERROR-LAYOUT",
         "sends errors in chunks of an unknown type that have no room for the message that they announce",
         overrunning(unknown_error_chunk)},
        {"error-message-swapped", "ERROR-LENGTH",
         "sends the length of an error's message in another order of bytes",
         on_error_chunk([](Chunk& chunk, const Request& /*request*/, Flow& /*flow*/) {
             chunk.type = ChunkType::error;
             chunk.payload = nbd::encode(nbd::ErrorChunk{error_of(chunk), "no"});
             std::swap(chunk.payload[4], chunk.payload[5]);
         })},
        {"error-message-nul", "STRING-NO-NUL", "ends the messages of error chunks with NUL",
         on_message(std::string("no\0", 3))},
        {"error-message-not-utf8", "STRING-UTF8", "sends the messages of error chunks in Latin-1",
         on_message("unm\xf6glich")},
        {"error-message-4097", "STRING-LENGTH", "sends error chunks with messages of 4097 bytes",
         on_message(std::string(nbd::max_string + 1, 'e'))},
        {"error-offset-first", "ERROR-LAYOUT",
         "puts the offset in front of the error in NBD_REPLY_TYPE_ERROR_OFFSET",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& /*flow*/) {
             if (request.type == Command::read) {
                 nbd::Buffer payload = nbd::encode(nbd::OffsetData{request.offset});
                 const nbd::Buffer error = nbd::encode(nbd::ErrorChunk{error_of(chunk), {}});
                 payload.insert(payload.end(), error.begin(), error.end());
                 chunk.type = ChunkType::error_offset;
                 chunk.payload = std::move(payload);
             }
         })},
        {"error-by-simple-reply", "ERRORS-STRUCTURED",
         "tells errors by simple replies, but those of reads, though structured ones were agreed",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type != Command::read && !flow.told().extended && chunk.done()) {
                 answer(flow, Reply{nbd::simple_reply_magic, error_of(chunk), chunk.cookie});
             }
         })},
        {"error-unanswered", "REQUEST-ANSWERED", "does not answer what it refuses",
         twist(
             [](Reply& reply, Flow& flow) {
                 if (reply.error != Error::none) {
                     flow.drop();
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 if (nbd::is_error(chunk.type)) {
                     flow.drop();
                 }
             })},
        {"error-twice", "ERROR-ONCE", "sends NBD_REPLY_TYPE_ERROR twice in a reply",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             flow.to_client(error_chunk(flow.told(), request, error_of(chunk), false));
         })},
        {"error-offset-short", "ERROR-OFFSET-LENGTH", "sends NBD_REPLY_TYPE_ERROR_OFFSET with 10 bytes",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type == Command::read) {
                 chunk = error_at(flow.told(), request, error_of(chunk), request.offset, chunk.done());
                 chunk.payload.resize(10);
             }
         })},
        {"error-offset-outside", "ERROR-OFFSET-IN-REQUEST", "tells of an error behind the end of the request",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type == Command::read) {
                 chunk = error_at(flow.told(), request, error_of(chunk), request.offset + request.length,
                                  chunk.done());
             }
         })},
        {"error-offset-twice", "ERROR-OFFSET-ONCE", "tells of two errors at the same offset",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type == Command::read) {
                 flow.to_client(error_at(flow.told(), request, error_of(chunk), request.offset, false));
                 chunk = error_at(flow.told(), request, error_of(chunk), request.offset, chunk.done());
             }
         })},
        {"error-offsets-in-chunk", "ERROR-OFFSET-PER-CHUNK", "tells of two errors in the same chunk of data",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (data.size() < 2) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             flow.to_client(data_chunk(flow.told(), request, request.offset, data, false));
             flow.to_client(error_at(flow.told(), request, Error::io, request.offset, false));
             flow.to_client(error_at(flow.told(), request, Error::io, request.offset + 1, true));
         })},
        {"error-after-done", "CHUNK-DONE-EARLY",
         "tells of an error after the chunk that it marked as the last one",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             flow.to_client(content(flow.told(), request, data));
             flow.to_client(error_chunk(flow.told(), request, Error::io, true));
         })},
        {"errors-mixed", "ERRORS-NOT-MIXED",
         "tells of an error with its offset and of one without in the same reply",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type == Command::read) {
                 flow.to_client(error_at(flow.told(), request, error_of(chunk), request.offset, false));
             }
         })},
        {"error-offset-of-nothing", "ERROR-OFFSET-PLACE",
         "answers unknown commands with NBD_REPLY_TYPE_ERROR_OFFSET",
         on_error_chunk([](Chunk& chunk, const Request& request, Flow& flow) {
             if (request.type > Command::resize) {
                 chunk = error_at(flow.told(), request, error_of(chunk), request.offset, chunk.done());
             }
         })},
        {"content-after-error", "CONTENT-BEFORE-ERROR",
         "tells of an error in the middle of a read before it sends the data of that place",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (!data.empty()) {
                 flow.to_client(
                     error_at(flow.told(), request, Error::io, request.offset + data.size() / 2, false));
             }
             flow.to_client(content(flow.told(), request, data));
         })},
    };
}

} // namespace

Table error_faults() {
    return joined({values, chunks});
}

} // namespace faults
