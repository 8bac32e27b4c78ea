// What servers may do in the handshake and seldom do. Each is about a requirement that binds clients, or
// about a liberty that the specification gives to servers.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using namespace std::chrono_literals;

using nbd::Command;
using nbd::Error;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

namespace flag = nbd::transmission_flag;

namespace {

constexpr std::uint32_t kib = 1024;

OptionReply information(Option option, InfoType type, const std::string& text) {
    return option_reply(option, OptionReplyType::info, nbd::encode(nbd::InfoText{type, text}));
}

/// This option is refused with this error and message.
Recipe refused(Option option, OptionReplyType error, std::string text = {}) {
    return early(on_option(option, [error, text](OptionRequest& request, Flow& flow) {
        answer(flow, option_reply(request.option, error, text));
    }));
}

/// More information goes before or behind that about the export.
template <class F>
Recipe beside_export(F act) {
    return twist([act](OptionReply& reply, Flow& flow) {
        if (info_type(reply) == InfoType::export_) {
            act(reply, flow);
        }
    });
}

/// Errors to options have this message.
Recipe error_text(std::string text) {
    return early(twist([text](OptionReply& reply) {
        if (nbd::is_error(reply.type)) {
            reply.payload.assign(text.begin(), text.end());
        }
    }));
}

/// What NBD_OPT_LIST tells besides the exports that there are.
template <class F>
Recipe beside_listed(F act) {
    return early(on_option_reply(Option::list, [act](OptionReply& reply, Flow& flow) {
        if (reply.type == OptionReplyType::ack) {
            act(flow);
        }
    }));
}

void list(Flow& flow, const std::string& name, const std::string& description = {}) {
    flow.to_client(option_reply(Option::list, OptionReplyType::server,
                                nbd::encode(nbd::ServerReply{name, description})));
}

OptionRequest without_queries(const OptionRequest& option) {
    OptionRequest none = option;
    edit<nbd::MetaContextRequest>(none.payload,
                                  [](nbd::MetaContextRequest& request) { request.queries.clear(); });
    return none;
}

constexpr std::string_view canonical = "canonical";

/// Exports have this description, and it is told whether it is asked for or not.
Recipe described(std::string text) {
    return early(twist([text](OptionReply& reply, Flow& flow) {
        if (reply.type == OptionReplyType::server) {
            edit<nbd::ServerReply>(reply.payload,
                                   [&](nbd::ServerReply& server) { server.description = text; });
        } else if (info_type(reply) == InfoType::description) {
            flow.drop();
        } else if (info_type(reply) == InfoType::export_) {
            flow.to_client(information(reply.option, InfoType::description, text));
        }
    }));
}

Table greeting() {
    return {
        {"greeting-without-no-zeroes", "CLIENT-FLAGS-OFFERED", "does not offer NBD_FLAG_NO_ZEROES",
         unoffered(nbd::handshake_flag::no_zeroes, nbd::client_flag::no_zeroes)},
        {"greeting-slow", "HANDSHAKE-COMPLETES", "waits half a second before its greeting",
         twist([](Greeting& /*greeting*/, Flow& flow) { flow.pause(Side::client, 500ms); })},
        {"handshake-slow", "OPTION-WAITS", "waits 100 ms before each reply to an option",
         early(twist([](OptionReply& /*reply*/, Flow& flow) { flow.pause(Side::client, 100ms); }))},
        {"shutdown-in-handshake", "SHUTDOWN-ABORT",
         "answers NBD_REP_ERR_SHUTDOWN to all options but the first",
         early(twist([](OptionRequest& option, Flow& flow) {
             if (flow.told().options > 1 && !flow.told().transmission && option.option != Option::abort &&
                 option.option != Option::export_name) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_shutdown, "closing down"));
             }
         }))},
    };
}

/// TLS that ends with its handshake, as where the two sides have no ciphers in common.
Recipe tls_fails() {
    return early(twist(
        [](OptionRequest& option, Flow& flow) {
            if (option.option == Option::starttls) {
                answer(flow, option_reply(option.option, OptionReplyType::ack));
            }
        },
        [](Raw& raw, Flow& flow) {
            if (raw.from == Side::client && flow.told().tls) {
                flow.drop();
                // The record of a fatal alert, handshake_failure.
                flow.to_client(Raw{Side::server, {0x15, 3, 3, 0, 2, 2, 40}});
                flow.pause(Side::client, 300ms);
                flow.hang_up();
            }
        }));
}

Table refusals() {
    return {
        {"structured-unsupported", "STRUCTURED-FALLBACK", "does not know structured replies",
         refused(Option::structured_reply, OptionReplyType::err_unsup)},
        {"structured-forbidden", "STRUCTURED-FALLBACK",
         "answers NBD_REP_ERR_POLICY to NBD_OPT_STRUCTURED_REPLY",
         refused(Option::structured_reply, OptionReplyType::err_policy)},
        {"structured-refused-with-text", "STRUCTURED-FALLBACK",
         "answers NBD_REP_ERR_PLATFORM with a message to NBD_OPT_STRUCTURED_REPLY",
         refused(Option::structured_reply, OptionReplyType::err_platform,
                 "this build of the server cannot do that")},
        {"extended-unsupported", "EXTENDED-UNSUPPORTED", "does not know extended headers",
         refused(Option::extended_headers, OptionReplyType::err_unsup)},
        {"starttls-unsupported", "STARTTLS-REFUSED", "answers NBD_REP_ERR_POLICY to NBD_OPT_STARTTLS",
         refused(Option::starttls, OptionReplyType::err_policy)},
        {"starttls-fails", "TLS-FAILED-CLIENT",
         "agrees to TLS, tells by a fatal alert that its handshake has failed, and leaves 300 ms later",
         tls_fails()},
        {"list-forbidden", "LIST-REPLIES", "answers NBD_REP_ERR_POLICY to NBD_OPT_LIST",
         refused(Option::list, OptionReplyType::err_policy, "exports are not listed here")},
        {"meta-unsupported", "STATUS-SELECTED", "does not know metadata contexts",
         twist([](OptionRequest& option, Flow& flow) {
             if (option.option == Option::set_meta_context || option.option == Option::list_meta_context) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_unsup));
             }
         })},
        {"meta-nothing-selected", "STATUS-SELECTED", "selects no metadata context, whatever is asked for",
         on_option(Option::set_meta_context,
                   [](OptionRequest& option, Flow& flow) {
                       if (flow.told().chunks()) {
                           answer(flow, option_reply(option.option, OptionReplyType::ack));
                       }
                   })},
        {"meta-fails-late", "META-ERROR-DISREGARDED",
         "ends its answer to NBD_OPT_SET_META_CONTEXT with an error though it has told a context",
         twist_with(false,
                    [](bool& forgetting, OptionReply& reply, Flow& flow) {
                        if (reply.option != Option::set_meta_context || reply.type != OptionReplyType::ack) {
                            return;
                        }
                        flow.drop();
                        if (!std::exchange(forgetting, !forgetting)) {
                            // The server has to forget the contexts as well, which a query for none makes it
                            // do.
                            flow.to_server(without_queries(*flow.told().option));
                        } else {
                            flow.to_client(option_reply(reply.option, OptionReplyType::err_too_big));
                        }
                    })},
        {"go-unsupported", "GO-FALLBACK", "knows NBD_OPT_EXPORT_NAME only, as old servers do",
         early(twist([](OptionRequest& option, Flow& flow) {
             if (option.option != Option::export_name && option.option != Option::abort) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_unsup));
             }
         }))},
        {"error-type-unknown", "STRUCTURED-FALLBACK",
         "refuses options with an error that the specification does not have",
         early(twist([](OptionReply& reply) {
             if (nbd::is_error(reply.type)) {
                 reply.type = OptionReplyType{nbd::option_error_bit + 0x1234};
             }
         }))},
        {"option-error-text", "OPTION-ERROR-TEXT", "sends a message with errors",
         error_text("it cannot be done")},
        {"option-error-text-none", "OPTION-ERROR-TEXT", "sends no message with errors", error_text({})},
        {"option-error-text-utf8", "OPTION-ERROR-TEXT", "sends messages that are not ASCII with errors",
         error_text("unm\xc3\xb6glich \xe2\x98\xb9")},
        {"option-error-text-4096", "OPTION-ERROR-TEXT", "sends messages of 4096 bytes with errors",
         error_text(std::string(nbd::max_string, 'e'))},
    };
}

Table listing() {
    return {
        {"list-many", "LIST-REPLIES", "lists a thousand more exports", beside_listed([](Flow& flow) {
             for (int i = 0; i < 1000; ++i) {
                 list(flow, "more-" + std::to_string(i));
             }
         })},
        {"list-nothing", "LIST-REPLIES", "has no exports to list that are not the default one",
         early(twist([](OptionReply& reply, Flow& flow) {
             const auto told = payload_as<nbd::ServerReply>(reply.payload);
             if (reply.type == OptionReplyType::server && told && !told->export_name.empty()) {
                 flow.drop();
             }
         }))},
        {"list-utf8", "SERVER-REPLY-LAYOUT", "lists a name that is not ASCII", beside_listed([](Flow& flow) {
             list(flow, "gr\xc3\xb6\xc3\x9f"
                        "e \xf0\x9f\x92\xbe");
         })},
        {"list-descriptions", "SERVER-REPLY-LAYOUT", "lists exports with descriptions of 4096 bytes",
         beside_listed([](Flow& flow) { list(flow, "described", std::string(nbd::max_string, 'd')); })},
        {"list-name-4096", "STRING-LENGTH", "lists a name of 4096 bytes",
         beside_listed([](Flow& flow) { list(flow, std::string(nbd::max_string, 'n')); })},
    };
}

Table information_replies() {
    return {
        {"info-unknown-first", "INFO-UNKNOWN-IGNORED", "sends information of an unknown type first",
         beside_export([](OptionReply& reply, Flow& flow) {
             flow.to_client(information(reply.option, InfoType{99}, "?"));
         })},
        {"info-unknown-last", "INFO-UNKNOWN-IGNORED",
         "sends information of an unknown type behind all others", twist([](OptionReply& reply, Flow& flow) {
             if (asks_info(reply.option) && reply.type == OptionReplyType::ack) {
                 flow.to_client(information(reply.option, InfoType{0xfffe}, std::string(1000, '?')));
             }
         })},
        {"info-reversed", "INFO-ORDER", "sends its information in the opposite order",
         twist_with(std::vector<OptionReply>{},
                    [](std::vector<OptionReply>& held, OptionReply& reply, Flow& flow) {
                        if (info_type(reply)) {
                            held.insert(held.begin(), reply);
                            flow.drop();
                        } else if (is_final(reply)) {
                            for (const OptionReply& one : held) {
                                flow.to_client(one);
                            }
                            held.clear();
                        }
                    })},
        {"info-block-size-unasked", "INFO-UNASKED", "tells the block sizes to clients that did not ask",
         twist_with(false,
                    [](bool& told, OptionReply& reply, Flow& flow) {
                        told = told || info_type(reply) == InfoType::block_size;
                        if (asks_info(reply.option) && reply.type == OptionReplyType::ack &&
                            !std::exchange(told, false) && flow.told().option &&
                            !lists(*flow.told().option, InfoType::block_size)) {
                            flow.to_client(option_reply(reply.option, OptionReplyType::info,
                                                        nbd::encode(nbd::InfoBlockSize{})));
                        }
                    })},
        {"info-export-only", "INFO-EXPORT-SENT", "tells nothing but NBD_INFO_EXPORT, whatever is asked for",
         twist([](OptionReply& reply, Flow& flow) {
             if (info_type(reply) && info_type(reply) != InfoType::export_) {
                 flow.drop();
             }
         })},
        {"info-name-other", "INFO-NAME-SAME", "calls the default export by another name than clients ask for",
         early(twist_with(
             false,
             [](bool& /*told*/, OptionRequest& option) {
                 if (name_in(option) == canonical) {
                     option = renamed(option, {});
                 }
             },
             [](bool& told, OptionReply& reply, Flow& flow) {
                 if (reply.type == OptionReplyType::server) {
                     edit<nbd::ServerReply>(reply.payload,
                                            [](nbd::ServerReply& server) { server.export_name = canonical; });
                 } else if (info_type(reply) == InfoType::name) {
                     flow.drop();
                 } else if (info_type(reply) == InfoType::export_ && !std::exchange(told, true)) {
                     flow.to_client(information(reply.option, InfoType::name, std::string(canonical)));
                 } else if (is_final(reply)) {
                     told = false;
                 }
             }))},
        {"info-description", "INFO-UNASKED", "tells everybody a description that is not ASCII",
         described("f\xc3\xbcr alle")},
        {"info-description-4096", "STRING-LENGTH", "tells everybody a description of 4096 bytes",
         described(std::string(nbd::max_string, 'd'))},
        {"list-meta-many", "META-REPLIES", "lists a hundred more metadata contexts",
         on_option_reply(Option::list_meta_context,
                         [](OptionReply& reply, Flow& flow) {
                             if (reply.type == OptionReplyType::ack) {
                                 for (int i = 0; i < 100; ++i) {
                                     flow.to_client(option_reply(reply.option, OptionReplyType::meta_context,
                                                                 nbd::encode(nbd::MetaContextReply{
                                                                     0, "x-more:" + std::to_string(i)})));
                                 }
                             }
                         })},
    };
}

Table flags_and_sizes() {
    const auto block = [](std::uint32_t minimum, std::uint32_t preferred, std::uint32_t maximum) {
        return twist(
            [=](OptionReply& reply) {
                if (info_type(reply) == InfoType::block_size) {
                    edit<nbd::InfoBlockSize>(reply.payload, [&](nbd::InfoBlockSize& told) {
                        told = {InfoType::block_size, minimum, preferred, maximum};
                    });
                }
            },
            [=](Request& request, Flow& flow) {
                if (flow.told().block && request.type != Command::disc &&
                    (request.offset % minimum != 0 || request.length % minimum != 0)) {
                    answer(flow, failure(flow.told(), request, Error::inval));
                }
            });
    };
    const auto without = [](std::uint16_t clear) {
        return on_export([clear](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*told*/) {
            told &= static_cast<std::uint16_t>(~clear);
        });
    };
    return {
        {"flags-unknown", "TRANSMISSION-FLAGS-IGNORED", "sets transmission flags that mean nothing yet",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*told*/) {
             told |= (1U << 14) | (1U << 15);
         })},
        {"flag-rotational", "FLAGS-TRUTHFUL", "says that the disk rotates",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*told*/) {
             told |= flag::rotational;
         })},
        {"no-flush", "FLUSH-OFFERED", "does not offer NBD_CMD_FLUSH", without(flag::send_flush)},
        {"no-trim", "TRIM-OFFERED", "does not offer NBD_CMD_TRIM", without(flag::send_trim)},
        {"no-fua", "FUA-OFFERED", "does not offer NBD_CMD_FLAG_FUA", without(flag::send_fua)},
        {"no-zeroes", "WRITE-ZEROES-OFFERED", "does not offer NBD_CMD_WRITE_ZEROES",
         without(flag::send_write_zeroes | flag::send_fast_zero)},
        {"no-multi-conn", "MULTI-CONN-OFFERED", "does not set NBD_FLAG_CAN_MULTI_CONN",
         without(flag::can_multi_conn)},
        {"no-status-payload", "STATUS-PAYLOAD-OFFERED", "does not set NBD_FLAG_BLOCK_STATUS_PAYLOAD",
         without(flag::block_status_payload)},
        {"block-minimum-64k", "REQUEST-ALIGNED", "has a minimum block size of 65536",
         block(64 * kib, 64 * kib, nbd::default_max_payload)},
        {"block-minimum-4k", "REQUEST-ALIGNED", "has a minimum block size of 4096",
         block(4 * kib, 4 * kib, nbd::default_max_payload)},
        {"block-preferred-large", "BLOCK-SIZE-PREFERRED", "has a preferred block size of 32 MiB",
         block(1, nbd::default_max_payload, nbd::default_max_payload)},
        {"block-maximum-none", "BLOCK-SIZE-PAYLOAD", "has no maximum payload",
         block(1, nbd::default_preferred_block, 0xffffffff)},
        {"block-maximum-odd", "REQUEST-PAYLOAD", "has a maximum payload of one byte more than 1 MiB",
         both(block(1, nbd::default_preferred_block, kib * kib + 1), chunks_of_at_most(kib * kib + 1))},
    };
}

} // namespace

Table handshake_oddities() {
    return joined({greeting, refusals, listing, information_replies, flags_and_sizes});
}

} // namespace faults
