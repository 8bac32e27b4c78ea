// Faults of what a server tells about an export (NBD_OPT_INFO, NBD_OPT_GO, NBD_REP_INFO, Size constraints).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

namespace {

constexpr std::uint32_t kib = 1024;

/// The payload of one type of information becomes so long.
Recipe resized(InfoType type, std::size_t size) {
    return twist([type, size](OptionReply& reply) {
        if (info_type(reply) == type) {
            reply.payload.resize(size);
        }
    });
}

/// The block sizes become others. Extents are as they are with such block sizes.
template <class F>
Recipe on_block_size(F change) {
    return both(
        on_info<nbd::InfoBlockSize>(InfoType::block_size, change),
        on_extents([change](std::vector<Extent>& extents, const Request& request, const Conversation& told) {
            nbd::InfoBlockSize block = told.block.value_or(nbd::InfoBlockSize{});
            change(block);
            if (told.block && block.minimum > 1) {
                const std::uint64_t length = request.length / block.minimum * block.minimum;
                extents.assign(1, {std::max<std::uint64_t>(length, block.minimum), 0});
            }
        }));
}

/// NBD_OPT_INFO and NBD_OPT_GO never reach the server where `which(OptionRequest)` holds.
template <class Which, class Act>
Recipe in_place_of_info(Which which, Act act) {
    return twist([which, act](OptionRequest& option, Flow& flow) {
        if (asks_info(option.option) && which(option)) {
            act(option, flow);
            flow.drop();
        }
    });
}

/// Replies to this option end in a type that is none of its replies.
Recipe strange_reply() {
    return early(twist([](OptionReply& reply) {
        if (asks_info(reply.option) && is_final(reply)) {
            reply.type = OptionReplyType{77};
            reply.payload.clear();
        }
    }));
}

Table replies() {
    return {
        {"info-unimplemented", "BASELINE-INFO-GO", "answers NBD_REP_ERR_UNSUP to NBD_OPT_INFO and NBD_OPT_GO",
         twist([](OptionRequest& option, Flow& flow) {
             if (asks_info(option.option) && !flow.told().extended) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_unsup));
             }
         })},
        {"go-unimplemented-extended", "EXTENDED-GO",
         "answers NBD_REP_ERR_UNSUP to NBD_OPT_GO though extended headers were agreed",
         on_option(Option::go,
                   [](OptionRequest& option, Flow& flow) {
                       if (flow.told().extended) {
                           answer(flow, option_reply(option.option, OptionReplyType::err_unsup));
                       }
                   })},
        {"info-reply-strange", "INFO-REPLIES",
         "ends the answer to NBD_OPT_INFO and NBD_OPT_GO with an unknown reply type", strange_reply()},
        {"info-export-missing", "INFO-EXPORT-SENT", "does not send NBD_INFO_EXPORT",
         twist([](OptionReply& reply, Flow& flow) {
             if (info_type(reply) == InfoType::export_) {
                 flow.drop();
             }
         })},
        {"info-export-long", "INFO-EXPORT-LENGTH", "sends NBD_INFO_EXPORT with 14 bytes",
         resized(InfoType::export_, 14)},
        {"info-export-short", "INFO-EXPORT-LENGTH", "sends NBD_INFO_EXPORT with 10 bytes",
         resized(InfoType::export_, 10)},
        {"info-block-size-short", "INFO-BLOCK-SIZE-LENGTH", "sends NBD_INFO_BLOCK_SIZE with 10 bytes",
         resized(InfoType::block_size, 10)},
        {"info-without-type", "INFO-LENGTH", "sends NBD_REP_INFO with one byte",
         twist([](OptionReply& reply, Flow& flow) {
             if (info_type(reply) == InfoType::export_) {
                 flow.to_client(option_reply(reply.option, OptionReplyType::info, nbd::Buffer{0}));
             }
         })},
        {"info-export-twice", "INFO-ONCE", "sends NBD_INFO_EXPORT twice",
         twist([](OptionReply& reply, Flow& flow) {
             if (info_type(reply) == InfoType::export_) {
                 flow.to_client(reply);
             }
         })},
        {"info-name-empty", "INFO-NAME-SAME", "sends NBD_INFO_NAME without a name",
         twist([](OptionReply& reply, Flow& flow) {
             if (is_final(reply) && reply.type == OptionReplyType::ack && asks_info(reply.option) &&
                 !flow.told().export_name.empty() && lists(*flow.told().option, InfoType::name)) {
                 flow.to_client(option_reply(reply.option, OptionReplyType::info,
                                             nbd::encode(nbd::InfoText{InfoType::name, {}})));
             } else if (info_type(reply) == InfoType::name) {
                 flow.drop();
             }
         })},
        {"info-description-other", "INFO-DESCRIPTION-SAME",
         "describes an export in NBD_INFO_DESCRIPTION otherwise than in its list",
         on_info<nbd::InfoText>(InfoType::description,
                                [](nbd::InfoText& told) { told.text = "something else"; })},
        {"info-description-nul", "STRING-NO-NUL", "sends a description with NUL in it",
         twist([](OptionReply& reply, Flow& flow) {
             if (info_type(reply) == InfoType::export_) {
                 flow.to_client(
                     option_reply(reply.option, OptionReplyType::info,
                                  nbd::encode(nbd::InfoText{InfoType::description, std::string("a\0b", 3)})));
             } else if (info_type(reply) == InfoType::description) {
                 flow.drop(); // it comes with NBD_INFO_EXPORT
             }
         })},
        {"info-after-ack", "OPTION-REPLY-ASKED",
         "sends NBD_INFO_EXPORT once more after NBD_REP_ACK to NBD_OPT_INFO",
         twist_with(OptionReply{},
                    [](OptionReply& last, OptionReply& reply, Flow& flow) {
                        if (info_type(reply) == InfoType::export_) {
                            last = reply;
                        } else if (reply.option == Option::info && reply.type == OptionReplyType::ack) {
                            flow.forward();
                            flow.to_client(last);
                        }
                    })},
        {"info-malformed-silent", "OPTION-ANSWERED",
         "does not answer NBD_OPT_INFO and NBD_OPT_GO whose data do not add up",
         early(in_place_of_info(
             [](const OptionRequest& option) { return !payload_as<nbd::InfoRequest>(option.payload); },
             [](OptionRequest& /*option*/, Flow& /*flow*/) {}))},
        {"info-first-silent", "OPTION-ANSWERED", "does not answer NBD_OPT_INFO where it is the first option",
         early(on_option(Option::info,
                         [](OptionRequest& /*option*/, Flow& flow) {
                             if (flow.told().options == 1) {
                                 flow.drop();
                             }
                         }))},
        {"info-unknown-refused", "INFO-REQUESTS-IGNORED",
         "refuses NBD_OPT_INFO and NBD_OPT_GO because of a type of information that it does not know",
         in_place_of_info(
             [](const OptionRequest& option) {
                 const auto request = payload_as<nbd::InfoRequest>(option.payload);
                 return request && std::ranges::any_of(request->requests,
                                                       [](InfoType type) { return type > InfoType::resize; });
             },
             [](OptionRequest& option, Flow& flow) {
                 flow.to_client(option_reply(option.option, OptionReplyType::err_invalid));
             })},
        {"info-unknown-export-told", "UNKNOWN-NO-INFO", "sends NBD_INFO_NAME before NBD_REP_ERR_UNKNOWN",
         early(twist([](OptionReply& reply, Flow& flow) {
             if (asks_info(reply.option) && reply.type == OptionReplyType::err_unknown) {
                 flow.to_client(option_reply(reply.option, OptionReplyType::info,
                                             nbd::encode(nbd::InfoText{InfoType::name, "no such export"})));
             }
         }))},
        {"info-flags-differ", "INFO-GO-AGREE",
         "tells other transmission flags in NBD_OPT_INFO than in NBD_OPT_GO", twist([](OptionReply& reply) {
             if (reply.option == Option::info && info_type(reply) == InfoType::export_) {
                 edit<nbd::InfoExport>(reply.payload, [](nbd::InfoExport& told) {
                     told.transmission_flags ^= nbd::transmission_flag::rotational;
                 });
             }
         })},
        {"info-size-zero", "INFO-GO-AGREE", "tells a size of 0 in NBD_OPT_INFO",
         twist([](OptionReply& reply) {
             if (reply.option == Option::info && info_type(reply) == InfoType::export_) {
                 edit<nbd::InfoExport>(reply.payload, [](nbd::InfoExport& told) { told.size = 0; });
             }
         })},
    };
}

Table block_sizes() {
    return {
        {"block-size-minimum-odd", "BLOCK-SIZE-MINIMUM", "advertises a minimum block size of 3",
         on_block_size([](nbd::InfoBlockSize& block) { block.minimum = 3; })},
        {"block-size-minimum-zero", "BLOCK-SIZE-MINIMUM", "advertises a minimum block size of 0",
         on_block_size([](nbd::InfoBlockSize& block) { block.minimum = 0; })},
        {"block-size-minimum-large", "BLOCK-SIZE-MINIMUM", "advertises a minimum block size of 131072",
         on_block_size([](nbd::InfoBlockSize& block) { block.minimum = block.preferred = 128 * kib; })},
        {"block-size-preferred-odd", "BLOCK-SIZE-PREFERRED", "advertises a preferred block size of 6144",
         on_block_size([](nbd::InfoBlockSize& block) { block.preferred = 6 * kib; })},
        {"block-size-preferred-small", "BLOCK-SIZE-PREFERRED", "advertises a preferred block size of 256",
         on_block_size([](nbd::InfoBlockSize& block) { block.preferred = kib / 4; })},
        {"block-size-preferred-below-minimum", "BLOCK-SIZE-PREFERRED",
         "advertises a preferred block size below the minimum", on_block_size([](nbd::InfoBlockSize& block) {
             block.minimum = 4 * kib;
             block.preferred = kib;
         })},
        {"block-size-maximum-below-preferred", "BLOCK-SIZE-PAYLOAD",
         "advertises a maximum payload below the preferred block size",
         both(on_block_size([](nbd::InfoBlockSize& block) {
                  block.preferred = 2 * kib * kib;
                  block.maximum = kib * kib;
              }),
              chunks_of_at_most(kib * kib))},
        {"block-size-maximum-64k", "BLOCK-SIZE-PAYLOAD-1M", "advertises a maximum payload of 65536",
         both(on_block_size([](nbd::InfoBlockSize& block) { block.maximum = 64 * kib; }),
              chunks_of_at_most(64 * kib))},
        {"block-size-odd-end", "SIZE-OF-BLOCKS",
         "advertises a minimum block size of 512, and a size that is no multiple of it",
         both(on_block_size([](nbd::InfoBlockSize& block) { block.minimum = 512; }),
              on_info<nbd::InfoExport>(InfoType::export_, [](nbd::InfoExport& told) { told.size -= 100; }))},
        {"block-size-reqd-though-asked", "BLOCK-SIZE-REQD-ASKED",
         "answers NBD_REP_ERR_BLOCK_SIZE_REQD to a client that asked for the block sizes",
         twist([](OptionReply& reply, Flow& flow) {
             if (asks_info(reply.option) && reply.type == OptionReplyType::ack &&
                 lists(*flow.told().option, InfoType::block_size)) {
                 reply.type = OptionReplyType::err_block_size_reqd;
                 if (!flow.told().block) {
                     flow.to_client(option_reply(reply.option, OptionReplyType::info,
                                                 nbd::encode(nbd::InfoBlockSize{})));
                 }
             }
         })},
        {"block-size-reqd-untold", "BLOCK-SIZE-REQD-TELLS",
         "refuses clients that do not ask for the block sizes, and does not tell them either",
         in_place_of_info([](const OptionRequest& option) { return !lists(option, InfoType::block_size); },
                          [](OptionRequest& option, Flow& flow) {
                              flow.to_client(
                                  option_reply(option.option, OptionReplyType::err_block_size_reqd));
                          })},
        {"block-size-reqd-default", "BLOCK-SIZE-REQD-DEFAULT",
         "refuses clients that do not ask for the block sizes though these are the default ones",
         in_place_of_info([](const OptionRequest& option) { return !lists(option, InfoType::block_size); },
                          [](OptionRequest& option, Flow& flow) {
                              flow.to_client(option_reply(option.option, OptionReplyType::info,
                                                          nbd::encode(nbd::InfoBlockSize{})));
                              flow.to_client(
                                  option_reply(option.option, OptionReplyType::err_block_size_reqd));
                          })},
        {"block-size-withheld", "INFO-BLOCK-SIZE-SENT",
         "enforces a minimum block size of 512 and does not tell clients that ask",
         twist(
             [](OptionReply& reply, Flow& flow) {
                 if (info_type(reply) == InfoType::block_size) {
                     flow.drop();
                 }
             },
             [](Request& request, Flow& flow) {
                 if (request.type != nbd::Command::disc && is_sound(flow.told(), request) &&
                     (request.offset % 512 != 0 || request.length % 512 != 0)) {
                     answer(flow, failure(flow.told(), request, nbd::Error::inval));
                 }
             })},
        {"block-size-unenforced", "BLOCK-SIZES-ENFORCED",
         "advertises a minimum block size of 512 and serves requests of any alignment",
         on_block_size([](nbd::InfoBlockSize& block) { block.minimum = 512; })},
    };
}

} // namespace

Table information_faults() {
    return joined({replies, block_sizes});
}

} // namespace faults
