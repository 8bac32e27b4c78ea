#include "faults/answers.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"
#include "faults/tests/client_scenes.hpp"

#include <algorithm>
#include <utility>

namespace faults::testing {
namespace {

using nbd::ChunkType;
using nbd::Command;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;
using refclient::Replies;

bool tells(const OptionReply& reply, InfoType type) {
    return reply.type == OptionReplyType::info &&
           nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type == type;
}

/// Information of a type that nobody knows, before the others.
Recipe unknown_information() {
    return twist([](OptionReply& reply, Flow& flow) {
        if (tells(reply, InfoType::export_)) {
            flow.to_client(option_reply(reply.option, OptionReplyType::info, {0, 99, 1, 2, 3}));
        }
    });
}

/// NBD_INFO_EXPORT as the last information.
Recipe export_last() {
    return twist_with(std::optional<OptionReply>(),
                      [](std::optional<OptionReply>& held, OptionReply& reply, Flow& flow) {
                          if (tells(reply, InfoType::export_)) {
                              held = reply;
                              flow.drop();
                          } else if (held && ends_option(reply.type)) {
                              flow.to_client(*std::exchange(held, std::nullopt));
                          }
                      });
}

Recipe long_description() {
    return twist([](OptionReply& reply) {
        if (tells(reply, InfoType::description)) {
            reply.payload =
                nbd::encode(nbd::InfoText{InfoType::description, std::string(nbd::max_string, 'd')});
        }
    });
}

Recipe unknown_transmission_flag() {
    return twist([](OptionReply& reply) {
        if (tells(reply, InfoType::export_)) {
            auto told = payload_as<nbd::InfoExport>(reply.payload).value();
            told.transmission_flags |= 1U << 14;
            reply.payload = nbd::encode(told);
        }
    });
}

/// The content of a read in two chunks, the first half first.
std::pair<Chunk, Chunk> halves(const Conversation& told, const Request& request, const Chunk& whole) {
    constexpr std::ptrdiff_t head = sizeof(std::uint64_t);
    const auto begin = whole.payload.begin() + head;
    const auto middle = begin + (whole.payload.end() - begin) / 2;
    return {data_chunk(told, request, request.offset, {begin, middle}, false),
            data_chunk(told, request, request.offset + static_cast<std::uint64_t>(middle - begin),
                       {middle, whole.payload.end()}, true)};
}

/// Two reads: what is left of the reply to the first comes after that to the second. `split` says whether
/// half of it comes before.
Recipe overtaking(bool split) {
    struct State {
        std::optional<std::uint64_t> first;
        std::optional<Chunk> held;
    };
    return twist_with(State{}, [split](State& state, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request || request->type != Command::read) {
            return;
        }
        if (!state.first) {
            state.first = chunk.cookie;
            flow.drop();
            const nbd::Buffer bytes(static_cast<std::size_t>(request->length), 0xaa);
            const Chunk whole = data_chunk(flow.told(), *request, request->offset, bytes, true);
            state.held = whole;
            if (split) {
                auto [one, two] = halves(flow.told(), *request, whole);
                flow.to_client(one);
                state.held = two;
            }
        } else if (*state.first != chunk.cookie && chunk.done() && state.held) {
            flow.forward();
            flow.to_client(*std::exchange(state.held, std::nullopt));
        } else if (*state.first == chunk.cookie) {
            flow.drop();
        }
    });
}

/// The second half of what is read comes first.
Recipe second_half_first() {
    return twist([](Request& request, Flow& flow) {
        if (request.type != Command::read) {
            return;
        }
        nbd::Buffer bytes(static_cast<std::size_t>(request.length));
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2), bytes.end(),
                  std::uint8_t{1});
        auto [one, two] =
            halves(flow.told(), request, data_chunk(flow.told(), request, request.offset, bytes, true));
        std::swap(one.flags, two.flags);
        flow.drop();
        flow.to_client(two);
        flow.to_client(one);
    });
}

template <class Change>
Recipe with_status(Change change) {
    return twist([change](Chunk& chunk, Flow& flow) {
        if (chunk.type == ChunkType::block_status_ext) {
            auto status = payload_as<nbd::BlockStatusExt>(chunk.payload).value();
            change(status, chunk, flow);
            chunk.payload = nbd::encode(status);
        }
    });
}

/// The same for the list of extents.
template <class Change>
Recipe with_extents(Change change) {
    return with_status([change](nbd::BlockStatusExt& status, Chunk& /*chunk*/, Flow& /*flow*/) {
        change(status.descriptors);
    });
}

using Extents = std::vector<nbd::StatusDescriptorExt>;

/// Ids of contexts that are not those of the reference server.
Recipe other_ids(std::uint32_t listed, std::uint32_t selected) {
    return twist(
        [=](OptionReply& reply) {
            if (auto context = payload_as<nbd::MetaContextReply>(reply.payload);
                reply.type == OptionReplyType::meta_context && context) {
                context->id = reply.option == Option::list_meta_context ? listed : selected;
                reply.payload = nbd::encode(*context);
            }
        },
        [=](Chunk& chunk) {
            if (chunk.type == ChunkType::block_status_ext) {
                nbd::detail::store_big(chunk.payload.data(), selected);
            }
        });
}

/// A second context, whose status comes before that of the first.
Recipe second_context() {
    constexpr std::uint32_t id = 77;
    return twist(
        [](OptionReply& reply, Flow& flow) {
            if (reply.type == OptionReplyType::meta_context) {
                flow.forward();
                flow.to_client(option_reply(reply.option, reply.type,
                                            nbd::encode(nbd::MetaContextReply{id, "x-test:other"})));
            }
        },
        [](Chunk& chunk, Flow& flow) {
            if (chunk.type == ChunkType::block_status_ext) {
                Chunk other = chunk;
                other.flags = 0;
                other.payload = nbd::encode(nbd::BlockStatusExt{id, {{512, 5}}});
                flow.to_client(other);
            }
        });
}

/// Information that the reference client has asked for, and gets in another form.
template <class M, class Change>
Recipe telling(InfoType type, Change change) {
    return twist([type, change](OptionReply& reply) {
        if (tells(reply, type)) {
            auto told = payload_as<M>(reply.payload).value();
            change(told);
            reply.payload = nbd::encode(told);
        }
    });
}

/// Reads are answered like this.
template <class Answer>
Recipe answering_reads(Answer answer) {
    return twist([answer](Request& request, Flow& flow) {
        if (request.type == Command::read) {
            flow.drop();
            answer(request, flow);
        }
    });
}

refclient::Options listing_contexts() {
    refclient::Options options = usual();
    options.list_contexts = true;
    return options;
}

refclient::Options with_padding() {
    refclient::Options options = usual();
    options.use_export_name = true;
    options.no_zeroes = false;
    return options;
}

std::vector<Scene> handshake() {
    return {
        {"refuse-handshake-flags", talk::enter, twist([](Greeting& greeting) { greeting.flags |= 1U << 9; })},
        {"refuse-newstyle", talk::enter, twist([](Greeting& greeting) {
             greeting.flags &= static_cast<std::uint16_t>(~nbd::handshake_flag::fixed_newstyle);
         })},
        {"refuse-list", talk::list},
        {"abort-needs-answer", talk::list, twist([](OptionRequest& option, Flow& flow) {
             if (option.option == Option::abort) {
                 flow.hang_up();
             }
         })},
        {"flags-of-greeting", talk::write},
        {"padding-unread", talk::read, sound(), with_padding()},
        {"refuse-extended-unsupported", talk::enter,
         answering(Option::extended_headers, OptionReplyType::err_unsup)},
        {"refuse-structured-unsupported", talk::enter,
         answering(Option::structured_reply, OptionReplyType::err_unsup), usual(Replies::structured)},
        {"refuse-go-unsupported", talk::enter, answering(Option::go, OptionReplyType::err_unsup),
         usual(Replies::structured)},
        {"refuse-unknown-info", talk::enter, unknown_information()},
        {"refuse-info-order", talk::enter, export_last()},
        {"refuse-long-string", talk::enter, long_description()},
        {"refuse-transmission-flags", talk::enter, unknown_transmission_flag()},
        {"refuse-unasked-information", talk::enter, unknown_information()},
        {"refuse-untold-block-sizes", talk::enter, twist([](OptionReply& reply, Flow& flow) {
             if (tells(reply, InfoType::block_size)) {
                 flow.drop();
             }
         })},
        {"refuse-other-name", talk::enter,
         telling<nbd::InfoText>(InfoType::name, [](nbd::InfoText& name) { name.text = "other"; })},
        {"refuse-large-blocks", talk::enter,
         telling<nbd::InfoBlockSize>(InfoType::block_size,
                                     [](nbd::InfoBlockSize& block) { block.preferred = 1U << 20; })},
        {"context-ids-of-list", talk::status, other_ids(5, 6), listing_contexts()},
        {"context-ids-from-one", talk::status, other_ids(0, 42)},
    };
}

std::vector<Scene> replies() {
    return {
        {"refuse-reply-order", talk::two_reads, overtaking(false)},
        {"replies-in-order", talk::two_reads, overtaking(false)},
        {"refuse-chunks-interleaved", talk::two_reads, overtaking(true)},
        {"refuse-done-on-content", talk::two_reads, second_half_first()},
        {"content-in-order", talk::read, second_half_first()},
        {"refuse-many-chunks", talk::read, answering_reads([](const Request& request, Flow& flow) {
             constexpr std::uint64_t some = 256;
             for (std::uint64_t at = 0; at < request.length; at += some) {
                 flow.to_client(data_chunk(flow.told(), request, request.offset + at, nbd::Buffer(some, 1),
                                           at + some == request.length));
             }
         })},
        {"refuse-holes", talk::read, answering_reads([](const Request& request, Flow& flow) {
             const nbd::OffsetHole hole{request.offset, static_cast<std::uint32_t>(request.length)};
             flow.to_client(chunk(flow.told(), request, ChunkType::offset_hole, nbd::encode(hole), true));
         })},
        {"refuse-zeroes", talk::read, answering_reads([](const Request& request, Flow& flow) {
             const nbd::Buffer zeroes(static_cast<std::size_t>(request.length));
             flow.to_client(content(flow.told(), request, zeroes));
         })},
        {"refuse-none", talk::write},
        {"refuse-simple-replies", talk::write, sound(), usual(Replies::simple)},
        {"refuse-chunk-flags", talk::read, twist([](Chunk& chunk) { chunk.flags |= 1U << 7; })},
        {"refuse-unknown-error",
         talk::read,
         failing_reads(nbd::Error{200}),
         usual(),
         {},
         "closed the connection"},
        {"refuse-large-reply", talk::large_read, twist([](Request& request, Flow& flow) {
             if (request.type == Command::read) {
                 flow.drop();
                 flow.to_client(any_success(flow.told(), request));
             }
         })},
        {"refuse-short-status", talk::status, with_extents([](Extents& extents) {
             extents = {{4096, 0}};
         })},
        {"refuse-long-status", talk::status,
         with_extents([](Extents& extents) { extents.back().length += 65536; })},
        {"refuse-equal-extents", talk::status, with_extents([](Extents& extents) {
             extents = {{4096, 0}, {4096, 0}};
         })},
        {"refuse-status-flags", talk::status, with_extents([](Extents& extents) { extents[0].status |= 4; })},
        {"hole-reads-zero", talk::status, with_extents([](Extents& extents) {
             extents = {{4096, nbd::allocation_flag::hole}};
         })},
        {"status-in-order", talk::status, second_context()},
    };
}

} // namespace

std::vector<Scene> wrong_refused() {
    std::vector<Scene> all = handshake();
    for (Scene& scene : replies()) {
        all.push_back(std::move(scene));
    }
    return all;
}

} // namespace faults::testing
