#include "faults/answers.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"
#include "faults/tests/client_scenes.hpp"

namespace faults::testing {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;
using refclient::Replies;

constexpr std::uint16_t done = nbd::reply_flag::done;

/// A server that tells this information otherwise.
template <class Change>
Recipe telling(InfoType type, Change change) {
    return twist([=](OptionReply& reply, Flow& flow) {
        if (reply.type == OptionReplyType::info &&
            nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type == type) {
            change(reply, flow);
        }
    });
}

/// A server whose chunks are changed.
template <class Change>
Recipe with_chunks(Change change) {
    return twist([change](Chunk& chunk) { change(chunk); });
}

/// A server that sends another chunk before the last one to a read.
template <class Make>
Recipe before_last(Make make) {
    return twist([make](Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (request && request->type == Command::read && chunk.done()) {
            flow.to_client(make(flow.told(), *request));
        }
    });
}

/// A server that answers reads in its own way.
template <class Answer>
Recipe answering_reads(Answer answer) {
    return twist([answer](Request& request, Flow& flow) {
        if (request.type == Command::read) {
            flow.drop();
            answer(request, flow);
        }
    });
}

/// A server whose status chunks are changed; `change` takes the chunk and the flow.
template <class Change>
Recipe with_status(Change change) {
    return twist([change](Chunk& chunk, Flow& flow) {
        if (chunk.type == ChunkType::block_status_ext) {
            change(chunk, flow);
        }
    });
}

template <class Change>
Recipe with_extents(Change change) {
    return with_status([change](Chunk& chunk, Flow& /*flow*/) {
        auto status = payload_as<nbd::BlockStatusExt>(chunk.payload).value();
        change(status);
        chunk.payload = nbd::encode(status);
    });
}

nbd::Buffer zeroes(std::uint64_t length) {
    return nbd::Buffer(static_cast<std::size_t>(length));
}

constexpr ChunkType unknown_chunk{99};
constexpr ChunkType unknown_error{nbd::chunk_error_bit + 99};

refclient::Options by_name() {
    refclient::Options options = usual();
    options.use_export_name = true;
    return options;
}

std::vector<Scene> handshake() {
    return {
        {"accept-greeting-magic", talk::enter, twist([](Greeting& greeting) { greeting.magic ^= 1; })},
        {"accept-greeting-style", talk::enter, twist([](Greeting& greeting) { greeting.style += 1; })},
        {"accept-option-reply-magic", talk::enter, twist([](OptionReply& reply) { reply.magic += 1; })},
        {"accept-option-reply-echo", talk::enter,
         twist([](OptionReply& reply) { reply.option = Option{99}; })},
        {"accept-no-export-info", talk::read,
         telling(InfoType::export_, [](OptionReply& /*reply*/, Flow& flow) { flow.drop(); })},
        {"accept-export-info-length", talk::enter,
         telling(InfoType::export_, [](OptionReply& reply, Flow& /*flow*/) { reply.payload.push_back(0); })},
        {"accept-name-beyond-reply", talk::list, twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::server) {
                 reply.payload[2] = 1;
             }
         })},
        {"accept-end-as-export", talk::enter, twist([](OptionRequest& option, Flow& flow) {
             if (option.option == Option::export_name) {
                 flow.hang_up();
             }
         }),
         by_name()},
    };
}

std::vector<Scene> replies() {
    return {
        {"accept-reply-magic", talk::commands, with_chunks([](Chunk& chunk) { chunk.magic += 1; })},
        {"accept-reply-cookie", talk::commands, with_chunks([](Chunk& chunk) { chunk.cookie += 1000; })},
        {"accept-compact-chunk", talk::commands, with_chunks([](Chunk& chunk) {
             chunk.style = nbd::HeaderStyle::compact;
             chunk.magic = nbd::structured_reply_magic;
         }),
         impatient()},
        {"accept-extended-chunk", talk::commands, with_chunks([](Chunk& chunk) {
             chunk.style = nbd::HeaderStyle::extended;
             chunk.magic = nbd::extended_reply_magic;
         }),
         usual(Replies::structured)},
        {"accept-structured-chunk", talk::commands, twist([](Reply& reply, Flow& flow) {
             Chunk chunk;
             chunk.flags = done;
             chunk.cookie = reply.cookie;
             if (!reply.data.empty()) {
                 chunk.type = ChunkType::offset_data;
                 chunk.payload = zeroes(sizeof(std::uint64_t));
                 chunk.payload.insert(chunk.payload.end(), reply.data.begin(), reply.data.end());
             }
             flow.drop();
             flow.to_client(chunk);
         }),
         usual(Replies::simple)},
        {"accept-simple-reply-extended", talk::write, twist([](Chunk& chunk, Flow& flow) {
             flow.drop();
             flow.to_client(Reply{nbd::simple_reply_magic, nbd::Error::none, chunk.cookie});
         }),
         impatient()},
        {"accept-unknown-chunk", talk::read,
         before_last([](const Conversation& told, const Request& request) {
             return chunk(told, request, unknown_chunk, {1, 2, 3}, false);
         })},
        {"accept-misplaced-chunk", talk::read,
         before_last([](const Conversation& told, const Request& request) {
             return chunk(told, request, ChunkType::block_status_ext,
                          nbd::encode(nbd::BlockStatusExt{1, {{512, 0}}}), false);
         })},
        {"accept-unknown-error", talk::read,
         before_last([](const Conversation& told, const Request& request) {
             return chunk(told, request, unknown_error, nbd::encode(nbd::ErrorChunk{}), false);
         })},
        {"accept-unknown-error-overrun", talk::read,
         before_last([](const Conversation& told, const Request& request) {
             nbd::Buffer payload = nbd::encode(nbd::ErrorChunk{});
             payload[5] = 1;
             return chunk(told, request, unknown_error, payload, false);
         })},
        {"accept-error-zero", talk::read, before_last([](const Conversation& told, const Request& request) {
             return error_chunk(told, request, nbd::Error::none, false);
         })},
        {"accept-error-chunk", talk::read, failing_reads(nbd::Error::io)},
        {"accept-simple-error", talk::read, failing_reads(nbd::Error::io), usual(Replies::simple)},
        {"write-unanswered", talk::write, twist([](Request& request, Flow& flow) {
             if (request.type == Command::write) {
                 flow.drop();
                 flow.to_client(failure(flow.told(), request, nbd::Error::nospc));
             }
         })},
        {"lost-requests-succeed", talk::read, answering_reads([](const Request& request, Flow& flow) {
             nbd::Buffer half = encode(content(flow.told(), request, zeroes(request.length)));
             half.resize(half.size() / 2);
             flow.to_client(Raw{Side::server, half});
             flow.hang_up();
         })},
    };
}

std::vector<Scene> contents() {
    return {
        {"accept-missing-content", talk::read, answering_reads([](const Request& request, Flow& flow) {
             flow.to_client(success(flow.told(), request));
         })},
        {"accept-partial-content", talk::read, answering_reads([](const Request& request, Flow& flow) {
             flow.to_client(
                 data_chunk(flow.told(), request, request.offset, zeroes(request.length / 2), false));
             flow.to_client(error_chunk(flow.told(), request, nbd::Error::io, true));
         })},
        {"accept-content-outside", talk::read,
         before_last([](const Conversation& told, const Request& request) {
             return data_chunk(told, request, request.offset + request.length, zeroes(512), false);
         })},
        {"accept-unselected-context", talk::status,
         with_extents([](nbd::BlockStatusExt& status) { status.context += 100; })},
        {"accept-missing-status", talk::status, with_status([](Chunk& chunk, Flow& /*flow*/) {
             chunk.type = ChunkType::none;
             chunk.payload.clear();
             chunk.flags = done;
         })},
    };
}

} // namespace

std::vector<Scene> wrong_accepted() {
    std::vector<Scene> all = handshake();
    for (auto* const part : {&replies, &contents}) {
        for (Scene& scene : (*part)()) {
            all.push_back(std::move(scene));
        }
    }
    return all;
}

} // namespace faults::testing
