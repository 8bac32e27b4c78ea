// What is done to clients alone: lengths and sizes that they must not believe, ends in the middle of
// something, and what is allowed but trips clients that were tried with well-meaning servers only.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::ChunkType;
using nbd::Command;
using nbd::Error;
using nbd::InfoType;
using nbd::OptionReplyType;

namespace {

/// What no reply to a read of a sane length has.
constexpr std::uint32_t almost_4_gib = 0xfffffe00;

/// Turns ids of metadata contexts into others, and back.
constexpr std::uint32_t id_mask = 0xdeadbe00;

/// What a client that passes it on as a format prints nonsense for, or crashes.
constexpr std::string_view format_text = "100%s of %n, %d %%";

bool unfragmented(const Request& request) {
    return (request.flags & nbd::command_flag::df) != 0;
}

/// The answer to a read, also to an empty one.
Message whole(const Conversation& told, const Request& request, const nbd::Buffer& data) {
    return data.empty() ? success(told, request) : content(told, request, data);
}

bool other_reads(const Conversation& told, const Request& request) {
    return std::ranges::any_of(told.asked, [&](const auto& open) {
        return open.second.type == Command::read && open.second.length > 0 && open.first != request.cookie;
    });
}

/// The second half of a reply, which waits until another reply has begun.
struct Interleaving {
    Readings readings;
    std::optional<Chunk> held;

    void release(Flow& flow) {
        if (held) {
            flow.to_client(*std::exchange(held, std::nullopt));
        }
    }
    void pass(Flow& flow) {
        flow.forward();
        release(flow);
    }
};

Recipe interleaved() {
    return twist_with(
        Interleaving{}, [](Interleaving& now, Reply& /*reply*/, Flow& flow) { now.pass(flow); },
        [](Interleaving& now, Chunk& chunk, Flow& flow) {
            if (!collect(now.readings, chunk, flow.told())) {
                now.pass(flow);
                return;
            }
            flow.drop();
            if (!chunk.done()) {
                return;
            }
            const Request request = *flow.told().request(chunk.cookie);
            const nbd::Buffer data = std::move(now.readings[chunk.cookie]);
            now.readings.erase(chunk.cookie);
            if (data.size() < 2 || unfragmented(request)) {
                flow.to_client(whole(flow.told(), request, data));
                now.release(flow);
                return;
            }
            const std::size_t half = data.size() / 2;
            flow.to_client(data_chunk(flow.told(), request, request.offset, part(data, 0, half), false));
            const Chunk second =
                data_chunk(flow.told(), request, request.offset + half, part(data, half, data.size()), true);
            if (!now.held && other_reads(flow.told(), request)) {
                now.held = second;
                return;
            }
            now.release(flow);
            flow.to_client(second);
        });
}

Table handshake() {
    return {
        {"greeting-cut", "GREETING-STYLE", "closes the connection in the middle of its greeting",
         twist([](Greeting& greeting, Flow& flow) {
             nbd::Buffer bytes = encode(greeting);
             bytes.resize(12);
             flow.to_client(Raw{Side::server, bytes});
             flow.hang_up();
         })},
        {"meta-context-short", "META-REPLIES", "tells a metadata context in 3 bytes",
         twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::meta_context) {
                 reply.payload.resize(3);
             }
         })},
        {"block-size-maximum-zero", "BLOCK-SIZE-PAYLOAD", "advertises a maximum payload of 0",
         on_info<nbd::InfoBlockSize>(InfoType::block_size,
                                     [](nbd::InfoBlockSize& block) { block.maximum = 0; })},
    };
}

Table reads() {
    return {
        {"data-of-4-gib", "CONTENT-IN-REQUEST", "announces almost 4 GiB of data in reply to any read",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             Chunk chunk = data_chunk(flow.told(), request, request.offset, data, true);
             chunk.length = almost_4_gib;
             flow.to_client(chunk);
         })},
        {"data-short", "DATA-LENGTH", "sends NBD_REPLY_TYPE_OFFSET_DATA of 4 bytes",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (!unfragmented(request)) {
                 flow.to_client(chunk(flow.told(), request, ChunkType::offset_data, nbd::Buffer(4), false));
             }
             flow.to_client(whole(flow.told(), request, data));
         })},
        {"hole-of-4-gib", "CONTENT-IN-REQUEST", "answers reads with a hole of almost 4 GiB",
         on_chunked_read([](const Request& request, nbd::Buffer& /*data*/, Flow& flow) {
             flow.to_client(chunk(flow.told(), request, ChunkType::offset_hole,
                                  nbd::encode(nbd::OffsetHole{request.offset, almost_4_gib}), true));
         })},
        {"data-wraps", "CONTENT-IN-REQUEST",
         "sends data whose end is beyond 2^64, and so seems to be within the request",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (unfragmented(request)) {
                 flow.to_client(whole(flow.told(), request, data));
                 return;
             }
             flow.to_client(
                 data_chunk(flow.told(), request, ~std::uint64_t{0} - 3, nbd::Buffer(8, 0xaa), false));
             flow.to_client(whole(flow.told(), request, data));
         })},
    };
}

Table successes() {
    return {
        {"read-first-half-twice", "READ-COVERED",
         "sends the first half of a read twice, which is as much as was asked for",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             if (data.size() < 2 || data.size() % 2 != 0 || unfragmented(request)) {
                 flow.to_client(whole(flow.told(), request, data));
                 return;
             }
             const nbd::Buffer half = part(data, 0, data.size() / 2);
             flow.to_client(data_chunk(flow.told(), request, request.offset, half, false));
             flow.to_client(data_chunk(flow.told(), request, request.offset, half, true));
         })},
        {"write-error-zero", "ERROR-NOT-ZERO", "answers writes with an error chunk that has the error 0",
         on_request(Command::write,
                    [](Request& request, Flow& flow) {
                        if (flow.told().chunks() && is_sound(flow.told(), request)) {
                            answer(flow, error_chunk(flow.told(), request, Error::none, true));
                        }
                    })},
    };
}

Table endings() {
    return {
        {"hangs-up-at-the-end", "SERVER-NO-HANG-UP",
         "closes the connection on a read or write that goes up to the end of the export",
         twist([](Request& request, Flow& flow) {
             const bool moves = request.type == Command::read || request.type == Command::write;
             if (moves && request.length > 0 && request.offset + request.length == flow.told().size) {
                 flow.hang_up();
             }
         })},
        {"hangs-up-on-flush", "SERVER-NO-HANG-UP", "closes the connection on NBD_CMD_FLUSH",
         on_request(Command::flush, [](Request& /*request*/, Flow& flow) { flow.hang_up(); })},
    };
}

Table legal() {
    return {
        {"only-by-name", "URI-EXPORT-NAME",
         "has no default export, and tells the name of an export to all who ask for it",
         early(twist(
             [](OptionRequest& option, Flow& flow) {
                 const bool enters = option.option == nbd::Option::export_name;
                 if ((!enters && !asks_info(option.option)) || !name_in(option).empty()) {
                     return;
                 }
                 if (enters) {
                     flow.hang_up();
                 } else {
                     answer(flow,
                            option_reply(option.option, OptionReplyType::err_unknown, "no such export"));
                 }
             },
             [](OptionReply& reply, Flow& flow) {
                 if (info_type(reply) == InfoType::name) {
                     flow.drop();
                 } else if (info_type(reply) == InfoType::export_) {
                     flow.forward();
                     flow.to_client(
                         option_reply(reply.option, OptionReplyType::info,
                                      nbd::encode(nbd::InfoText{InfoType::name, flow.told().export_name})));
                 }
             }))},
        {"shutdown-from-the-start", "SHUTDOWN-ABORT", "answers NBD_REP_ERR_SHUTDOWN to all options",
         early(twist([](OptionRequest& option, Flow& flow) {
             if (option.option != nbd::Option::abort && option.option != nbd::Option::export_name) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_shutdown, "closing down"));
             }
         }))},
        {"go-fails-late", "ENTERED-BEFORE-REQUESTS",
         "refuses NBD_OPT_GO and NBD_OPT_INFO behind all information",
         twist_with(
             false,
             [](bool& going, OptionRequest& option, Flow& flow) {
                 if (option.option == nbd::Option::export_name) {
                     flow.hang_up();
                     return;
                 }
                 // The server is only asked for information, so that it goes on with the handshake.
                 going = option.option == nbd::Option::go;
                 option.option = going ? nbd::Option::info : option.option;
             },
             [](bool& going, OptionReply& reply) {
                 if (reply.option != nbd::Option::info) {
                     return;
                 }
                 reply.option = going ? nbd::Option::go : reply.option;
                 if (reply.type == OptionReplyType::ack) {
                     reply = option_reply(reply.option, OptionReplyType::err_policy, "not today");
                 }
             })},
        {"option-error-text-format", "OPTION-ERROR-TEXT", "sends messages with signs of formats with errors",
         early(twist([](OptionReply& reply) {
             if (nbd::is_error(reply.type)) {
                 reply.payload.assign(format_text.begin(), format_text.end());
             }
         }))},
        {"error-text-format", "ERROR-LAYOUT", "sends messages with signs of formats with errors",
         twist([](Chunk& chunk) {
             if (chunk.type == ChunkType::error) {
                 edit<nbd::ErrorChunk>(chunk.payload,
                                       [](nbd::ErrorChunk& error) { error.message = format_text; });
             }
         })},
        {"chunks-alternating", "CHUNKS-INTERLEAVED",
         "begins the reply to a read before it ends the reply to another one", interleaved()},
        {"read-fails-at-its-end", "ERROR-CHUNK-FAILS", "sends all of the third read, and then an error",
         on_chunked_read([bad = BadSpot{}](const Request& request, nbd::Buffer& data, Flow& flow) mutable {
             if (!bad.hit(request) || data.empty()) {
                 flow.to_client(whole(flow.told(), request, data));
                 return;
             }
             flow.to_client(data_chunk(flow.told(), request, request.offset, data, false));
             flow.to_client(error_chunk(flow.told(), request, Error::io, true, "some of it was bad"));
         })},
        {"write-fails-oddly", "ERROR-UNEXPECTED",
         "answers the third write with an error value that the specification does not have",
         on_request(Command::write,
                    [bad = BadSpot{}](Request& request, Flow& flow) mutable {
                        if (bad.hit(request)) {
                            answer(flow, failure(flow.told(), request, Error{4321}));
                        }
                    })},
        {"context-id-large", "SET-META-OPAQUE", "gives metadata contexts large ids that follow no order",
         twist(
             [](OptionReply& reply) {
                 if (reply.option == nbd::Option::set_meta_context &&
                     reply.type == OptionReplyType::meta_context) {
                     edit<nbd::MetaContextReply>(reply.payload,
                                                 [](nbd::MetaContextReply& told) { told.id ^= id_mask; });
                 }
             },
             [](Chunk& chunk) {
                 const bool status =
                     chunk.type == ChunkType::block_status || chunk.type == ChunkType::block_status_ext;
                 if (status && chunk.payload.size() >= sizeof(std::uint32_t)) {
                     const auto id = nbd::detail::load_big<std::uint32_t>(chunk.payload.data());
                     nbd::detail::store_big(chunk.payload.data(), id ^ id_mask);
                 }
             })},
        {"status-fails-simple", "BASELINE-SIMPLE",
         "answers block status requests with NBD_EIO by simple replies",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (!flow.told().extended && is_sound(flow.told(), request)) {
                            answer(flow, Reply{nbd::simple_reply_magic, Error::io, request.cookie});
                        }
                    })},
    };
}

} // namespace

Table faults_for_clients() {
    return joined({handshake, reads, successes, endings});
}

Table oddities_for_clients() {
    return legal();
}

} // namespace faults
