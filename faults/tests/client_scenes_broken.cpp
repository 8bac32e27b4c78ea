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

bool tells(const OptionReply& reply, InfoType type) {
    return reply.type == OptionReplyType::info &&
           nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type == type;
}

/// A server that tells this information otherwise.
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

Recipe described(const std::string& text) {
    return telling<nbd::InfoText>(InfoType::description, [text](nbd::InfoText& told) { told.text = text; });
}

/// A server that tells extents otherwise.
Recipe with_extent(const nbd::StatusDescriptorExt& extent) {
    return twist([extent](Chunk& chunk) {
        if (chunk.type == ChunkType::block_status_ext) {
            auto status = payload_as<nbd::BlockStatusExt>(chunk.payload).value();
            status.descriptors = {extent};
            chunk.payload = nbd::encode(status);
        }
    });
}

refclient::Options with_padding() {
    refclient::Options options = usual();
    options.use_export_name = true;
    options.no_zeroes = false;
    return options;
}

std::vector<Scene> handshake() {
    return {
        {"abort-on-odd-refusal", talk::enter,
         answering(Option::extended_headers, OptionReplyType::err_policy)},
        {"abort-on-long-list", talk::list, twist([](OptionReply& reply, Flow& flow) {
             for (int i = 0; reply.option == Option::list && reply.type == OptionReplyType::ack && i < 70;
                  ++i) {
                 flow.to_client(option_reply(Option::list, OptionReplyType::server,
                                             nbd::encode(nbd::ServerReply{"one", ""})));
             }
         })},
        {"abort-on-empty-list", talk::list, twist([](OptionReply& reply, Flow& flow) {
             if (reply.type == OptionReplyType::server) {
                 flow.drop();
             }
         })},
        {"abort-on-unanswered-abort", talk::list, twist([](OptionRequest& option, Flow& flow) {
             if (option.option == Option::abort) {
                 flow.hang_up();
             }
         })},
        {"abort-on-unasked-reply", talk::enter, twist([](OptionReply& reply, Flow& flow) {
             if (reply.option == Option::extended_headers) {
                 flow.to_client(reply);
             }
         })},
        {"abort-on-odd-text", talk::enter, described("\xff")},
        {"abort-on-not-ascii", talk::enter, described("f\xc3\xbcr alle")},
        {"abort-on-long-text", talk::enter, described(std::string(nbd::max_string, 'd'))},
        {"abort-on-bare-context", talk::enter, twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::meta_context) {
                 reply.payload = nbd::encode(nbd::MetaContextReply{1, "bare"});
             }
         })},
        {"abort-on-information-twice", talk::enter, twist([](OptionReply& reply, Flow& flow) {
             if (tells(reply, InfoType::export_)) {
                 flow.to_client(reply);
             }
         })},
        {"abort-on-empty-name", talk::enter,
         telling<nbd::InfoText>(InfoType::name, [](nbd::InfoText& told) { told.text.clear(); })},
        {"abort-on-odd-flags", talk::enter,
         telling<nbd::InfoExport>(InfoType::export_,
                                  [](nbd::InfoExport& told) {
                                      told.transmission_flags &=
                                          static_cast<std::uint16_t>(~nbd::transmission_flag::has_flags);
                                  })},
        {"abort-on-rotational", talk::enter,
         telling<nbd::InfoExport>(
             InfoType::export_,
             [](nbd::InfoExport& told) { told.transmission_flags |= nbd::transmission_flag::rotational; })},
        {"abort-on-odd-size", talk::enter, twist([](OptionReply& reply) {
             if (tells(reply, InfoType::export_)) {
                 auto told = payload_as<nbd::InfoExport>(reply.payload).value();
                 ++told.size;
                 reply.payload = nbd::encode(told);
             } else if (tells(reply, InfoType::block_size)) {
                 reply.payload = nbd::encode(
                     nbd::InfoBlockSize{InfoType::block_size, 512, 4096, nbd::default_max_payload});
             }
         })},
        {"abort-on-no-bytes", talk::enter,
         telling<nbd::InfoExport>(InfoType::export_, [](nbd::InfoExport& told) { told.size = 0; })},
        {"abort-on-dirty-padding", talk::enter, twist([](ExportReply& reply) { reply.padding.front() = 1; }),
         with_padding()},
    };
}

std::vector<Scene> replies() {
    return {
        {"abort-on-mixed-reply", talk::write, twist([](Chunk& chunk, Flow& flow) {
             Chunk first = chunk;
             first.flags = 0;
             flow.to_client(first);
             flow.drop();
             flow.to_client(Reply{nbd::simple_reply_magic, nbd::Error::none, chunk.cookie});
         }),
         usual(Replies::structured)},
        {"abort-on-far-extent", talk::status, with_extent({std::uint64_t{1} << 40, 0})},
        {"abort-on-wide-status", talk::status, with_extent({512, std::uint64_t{1} << 40})},
    };
}

} // namespace

std::vector<Scene> broken_down() {
    std::vector<Scene> all = handshake();
    for (Scene& scene : replies()) {
        all.push_back(std::move(scene));
    }
    return all;
}

} // namespace faults::testing
