// Faults of clients that accept what is wrong with replies as such: numbers, headers, types, errors (Simple
// reply message, Structured reply chunk message, Structured reply types). They mend what the server sends
// before the client sees it.

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::Command;

std::uint32_t magic_of(nbd::HeaderStyle style) {
    return style == nbd::HeaderStyle::extended ? nbd::extended_reply_magic : nbd::structured_reply_magic;
}

/// True if what came looks like the header of a chunk rather than a simple reply.
bool looks_like_chunk(const nbd::Buffer& bytes, const Conversation& told) {
    if (bytes.size() < nbd::wire_size<nbd::SimpleReply>) {
        return true;
    }
    const auto flags_and_type = nbd::detail::load_big<std::uint32_t>(bytes.data() + 4);
    const auto request = told.request(nbd::detail::load_big<std::uint64_t>(bytes.data() + 8));
    constexpr std::uint32_t flags = 0xffff0000;
    return (flags_and_type & flags) != 0 ||
           (request && (request->type == Command::read || request->type == Command::block_status));
}

/// Puts a magic number in the place of the one that came.
Recipe any_magic() {
    return twist([](Raw& raw, Flow& flow) {
        const Conversation& told = flow.told();
        if (raw.from != Side::server || !told.transmission || told.tls || raw.bytes.size() < 4) {
            return;
        }
        std::uint32_t magic = nbd::simple_reply_magic;
        if (told.chunks() && (told.extended || looks_like_chunk(raw.bytes, told))) {
            magic = magic_of(told.style());
        }
        if (nbd::detail::load_big<std::uint32_t>(raw.bytes.data()) != magic) {
            nbd::Buffer mended = raw.bytes;
            nbd::detail::store_big(mended.data(), magic);
            flow.read_as(std::move(mended));
        }
    });
}

/// The oldest request that is open, in the place of one that there is not.
void take_for_oldest(std::uint64_t& cookie, const Conversation& told) {
    if (!told.request(cookie) && !told.asked.empty()) {
        cookie = told.asked.begin()->first;
    }
}

/// Gives chunks the header that was agreed.
void take_for_agreed(Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    chunk.style = told.style();
    chunk.magic = magic_of(told.style());
    chunk.offset = request ? request->offset : 0;
}

/// Turns a simple reply into the chunks that were agreed.
void as_chunks(const Reply& reply, Flow& flow) {
    const auto request = flow.told().request(reply.cookie);
    if (!request) {
        return;
    }
    flow.drop();
    if (reply.error != nbd::Error::none) {
        flow.to_client(failure(flow.told(), *request, reply.error));
    } else if (request->type == Command::read) {
        flow.to_client(content(flow.told(), *request, reply.data));
    } else {
        flow.to_client(success(flow.told(), *request));
    }
}

/// Turns a reply of one chunk into a simple one.
void as_simple_reply(const Chunk& chunk, Flow& flow) {
    Reply reply;
    reply.cookie = chunk.cookie;
    if (nbd::is_error(chunk.type)) {
        const auto told = payload_as<nbd::AnyErrorChunk>(chunk.payload);
        reply.error = told ? told->error : nbd::Error::inval;
    } else if (chunk.type == ChunkType::offset_data && chunk.payload.size() > sizeof(std::uint64_t)) {
        reply.data.assign(chunk.payload.begin() + sizeof(std::uint64_t), chunk.payload.end());
    }
    flow.drop();
    flow.to_client(reply);
}

bool known(ChunkType type) {
    switch (type) {
    case ChunkType::none:
    case ChunkType::offset_data:
    case ChunkType::offset_hole:
    case ChunkType::block_status:
    case ChunkType::block_status_ext:
    case ChunkType::resize:
    case ChunkType::error:
    case ChunkType::error_offset:
        return true;
    }
    return false;
}

/// True if chunks of this type can answer the command.
bool belongs(ChunkType type, Command command, bool extended) {
    switch (type) {
    case ChunkType::offset_data:
    case ChunkType::offset_hole:
        return command == Command::read;
    case ChunkType::block_status:
        return command == Command::block_status && !extended;
    case ChunkType::block_status_ext:
        return command == Command::block_status && extended;
    default:
        return true;
    }
}

/// Ignores chunks, and takes the reply for one that has succeeded if they end it.
template <class Ignored>
Recipe ignoring(Ignored ignored) {
    return twist_with(Came(), [ignored](Came& came, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request) {
            return;
        }
        if (ignored(chunk, *request, flow.told())) {
            flow.drop();
            if (chunk.done()) {
                make_success(flow, *request, came);
            }
        } else if (const auto content = content_of(chunk)) {
            (void)came.add(chunk.cookie, *content);
        } else if (chunk.type != ChunkType::none) {
            (void)came.add(chunk.cookie, {});
        }
        if (chunk.done()) {
            came.forget(chunk.cookie);
        }
    });
}

} // namespace

Table client_credulous_reply_faults() {
    return {
        {"accept-reply-magic", "REPLY-MAGIC", "takes replies with any magic number", any_magic()},
        {"accept-reply-cookie", "REPLY-COOKIE",
         "takes a reply whose cookie it does not know for that to its oldest request",
         twist([](Reply& reply, Flow& flow) { take_for_oldest(reply.cookie, flow.told()); },
               [](Chunk& chunk, Flow& flow) { take_for_oldest(chunk.cookie, flow.told()); })},
        {"accept-compact-chunk", "EXTENDED-NO-COMPACT", "takes compact chunks with extended headers agreed",
         twist([](Chunk& chunk, Flow& flow) {
             if (flow.told().extended && chunk.style == nbd::HeaderStyle::compact) {
                 take_for_agreed(chunk, flow.told());
             }
         })},
        {"accept-extended-chunk", "EXTENDED-NEGOTIATED",
         "takes chunks with extended headers that are not agreed", twist([](Chunk& chunk, Flow& flow) {
             if (!flow.told().extended && chunk.style == nbd::HeaderStyle::extended) {
                 take_for_agreed(chunk, flow.told());
             }
         })},
        {"accept-structured-chunk", "CHUNK-NEGOTIATED",
         "takes chunks though structured replies are not agreed", twist([](Chunk& chunk, Flow& flow) {
             if (!flow.told().chunks()) {
                 as_simple_reply(chunk, flow);
             }
         })},
        {"accept-simple-reply-extended", "EXTENDED-NO-SIMPLE",
         "takes simple replies with extended headers agreed", twist([](Reply& reply, Flow& flow) {
             if (flow.told().extended) {
                 as_chunks(reply, flow);
             }
         })},
        {"accept-unknown-chunk", "CHUNK-UNKNOWN-TYPE", "ignores chunks of a type that it does not know",
         ignoring([](const Chunk& chunk, const Request& /*request*/, const Conversation& /*told*/) {
             return !known(chunk.type) && !nbd::is_error(chunk.type);
         })},
        {"accept-misplaced-chunk", "CHUNK-UNKNOWN-TYPE",
         "ignores chunks of a type that does not belong to its request",
         ignoring([](const Chunk& chunk, const Request& request, const Conversation& told) {
             return !belongs(chunk.type, request.type, told.extended);
         })},
        {"accept-unknown-error", "ERROR-UNKNOWN-FAILS",
         "ignores error chunks of a type that it does not know",
         ignoring([](const Chunk& chunk, const Request& /*request*/, const Conversation& /*told*/) {
             return !known(chunk.type) && nbd::is_error(chunk.type);
         })},
        {"accept-unknown-error-overrun", "ERROR-UNKNOWN-OVERRUN",
         "ignores error chunks of a type that it does not know and whose message does not fit into them",
         ignoring([](const Chunk& chunk, const Request& /*request*/, const Conversation& /*told*/) {
             return !known(chunk.type) && nbd::is_error(chunk.type) &&
                    !payload_as<nbd::AnyErrorChunk>(chunk.payload);
         })},
        {"accept-error-zero", "ERROR-CHUNK-FAILS", "takes an error chunk with the error 0 for a success",
         ignoring([](const Chunk& chunk, const Request& /*request*/, const Conversation& /*told*/) {
             const auto told_error = payload_as<nbd::AnyErrorChunk>(chunk.payload);
             return nbd::is_error(chunk.type) && told_error && told_error->error == nbd::Error::none;
         })},
        {"accept-error-chunk", "ERROR-CHUNK-FAILS", "ignores error chunks",
         ignoring([](const Chunk& chunk, const Request& /*request*/, const Conversation& /*told*/) {
             return nbd::is_error(chunk.type);
         })},
        {"accept-simple-error", "ERROR-REPORTED", "takes simple replies with an error for success",
         twist([](Reply& reply, Flow& flow) {
             const auto request = flow.told().request(reply.cookie);
             if (reply.error != nbd::Error::none && request) {
                 flow.drop();
                 flow.to_client(any_success(flow.told(), *request));
             }
         })},
    };
}

} // namespace faults
