// Faults of a server's replies to options as such, and to those that need no export (Fixed newstyle
// negotiation, Option types, Option reply types).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::Option;
using nbd::OptionReplyType;

namespace {

/// A reply type that the specification does not know, and no error.
constexpr OptionReplyType unknown_type{77};
/// More than the options that the specification knows.
constexpr std::uint32_t last_option = 11;
constexpr std::uint64_t most_options = 32;

bool unknown(const OptionRequest& option) {
    return static_cast<std::uint32_t>(option.option) > last_option;
}

/// What comes in the place of the server for options that it does not know.
template <class F>
Recipe on_unknown_option(F act) {
    return early(twist([act](OptionRequest& option, Flow& flow) mutable {
        if (unknown(option)) {
            act(option, flow);
        }
    }));
}

/// Final replies to this option get a type that is none of its replies.
Recipe strange_reply(Option option) {
    return early(on_option_reply(option, [](OptionReply& reply, Flow& /*flow*/) {
        if (is_final(reply)) {
            reply.type = unknown_type;
            reply.payload.clear();
        }
    }));
}

/// Options are answered with this, and the server does not get them.
Recipe always(Option option, OptionReplyType type) {
    return early(on_option(option, [type](OptionRequest& request, Flow& flow) {
        answer(flow, option_reply(request.option, type));
    }));
}

/// The name in NBD_REP_SERVER becomes another one.
template <class F>
Recipe on_listed_name(F change) {
    return early(twist([change](OptionReply& reply) {
        if (reply.type == OptionReplyType::server) {
            edit<nbd::ServerReply>(reply.payload,
                                   [&](nbd::ServerReply& server) { change(server.export_name); });
        }
    }));
}

Recipe on_error_text(std::string text) {
    return early(twist([text](OptionReply& reply) {
        if (nbd::is_error(reply.type)) {
            reply.payload.assign(text.begin(), text.end());
        }
    }));
}

Table general() {
    return {
        {"option-reply-magic", "OPTION-REPLY-MAGIC", "begins replies to options with another magic number",
         early(twist([](OptionReply& reply) { reply.magic += 1; }))},
        {"option-reply-other-option", "OPTION-REPLY-ECHO", "names another option in its replies",
         early(twist([](OptionReply& reply) {
             reply.option = static_cast<Option>(static_cast<std::uint32_t>(reply.option) + 1);
         }))},
        {"option-reply-twice", "OPTION-REPLY-ASKED", "sends the final reply to NBD_OPT_LIST twice",
         early(on_option_reply(Option::list,
                               [](OptionReply& reply, Flow& flow) {
                                   if (is_final(reply)) {
                                       flow.to_client(reply);
                                   }
                               }))},
        {"option-reply-unasked", "OPTION-REPLY-ASKED", "answers an option before there is any",
         twist([](ClientFlags& flags, Flow& flow) {
             // A client that has to be dropped is.
             if (flags.flags <= (nbd::client_flag::fixed_newstyle | nbd::client_flag::no_zeroes)) {
                 flow.to_client(option_reply(Option::list, OptionReplyType::ack));
             }
         })},
        {"option-error-length", "OPTION-REPLY-LENGTH", "announces 2^32-1 bytes with an error that has none",
         early(twist([](OptionReply& reply) {
             if (nbd::is_error(reply.type)) {
                 reply.payload.clear();
                 reply.length = 0xffffffff;
             }
         }))},
        {"option-error-length-none", "OPTION-REPLY-LENGTH",
         "announces no bytes with an error that has a message", early(twist([](OptionReply& reply) {
             if (nbd::is_error(reply.type)) {
                 reply.payload.assign({'n', 'o'});
                 reply.length = 0;
             }
         }))},
        {"option-ack-with-data", "ACK-NO-DATA", "sends data with NBD_REP_ACK",
         early(twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::ack) {
                 reply.payload = {0, 0, 0, 0};
             }
         }))},
        {"option-error-text-nul", "STRING-NO-NUL", "ends the messages of errors with NUL",
         on_error_text(std::string("no\0", 3))},
        {"option-error-text-not-utf8", "STRING-UTF8", "sends messages of errors in Latin-1",
         on_error_text("k\xf6nnte")},
        {"option-error-text-4097", "STRING-LENGTH", "sends messages of errors with 4097 bytes",
         on_error_text(std::string(nbd::max_string + 1, 'e'))},
        {"option-many-hangs-up", "HAGGLING-NO-HANG-UP", "closes the connection after 32 options",
         early(twist([](OptionRequest& /*option*/, Flow& flow) {
             if (flow.told().options > most_options) {
                 flow.hang_up();
             }
         }))},
    };
}

Table unknown_options() {
    return {
        {"option-unknown-hangs-up", "OPTION-UNKNOWN",
         "closes the connection on an option that it does not know",
         on_unknown_option([](OptionRequest& /*option*/, Flow& flow) { flow.hang_up(); })},
        {"option-unknown-invalid", "OPTION-UNKNOWN",
         "answers NBD_REP_ERR_INVALID to an option that it does not know",
         on_unknown_option([](OptionRequest& option, Flow& flow) {
             answer(flow, option_reply(option.option, OptionReplyType::err_invalid));
         })},
        {"option-unknown-accepted", "OPTION-UNKNOWN",
         "answers NBD_REP_ACK to an option that it does not know",
         on_unknown_option([](OptionRequest& option, Flow& flow) {
             answer(flow, option_reply(option.option, OptionReplyType::ack));
         })},
        {"option-unknown-data-unread", "OPTION-UNKNOWN-SKIPPED",
         "takes the data of an option that it does not know for the next option",
         on_unknown_option([](OptionRequest& option, Flow& flow) {
             if (!option.payload.empty()) {
                 flow.to_client(option_reply(option.option, OptionReplyType::err_unsup));
                 flow.hang_up();
             }
         })},
        {"option-number-swapped", "NUMBERS-BIG-ENDIAN",
         "accepts the number of a known option in the wrong order of bytes",
         on_unknown_option([](OptionRequest& option, Flow& flow) {
             if (__builtin_bswap32(static_cast<std::uint32_t>(option.option)) <= last_option) {
                 answer(flow, option_reply(option.option, OptionReplyType::ack));
             }
         })},
        {"option-unknown-silent", "OPTION-ANSWERED", "does not answer an option that it does not know",
         on_unknown_option([](OptionRequest& /*option*/, Flow& flow) { flow.drop(); })},
    };
}

Table listing() {
    return {
        {"list-unimplemented", "BASELINE-LIST", "answers NBD_REP_ERR_UNSUP to NBD_OPT_LIST",
         always(Option::list, OptionReplyType::err_unsup)},
        {"list-silent", "OPTION-ANSWERED", "does not answer NBD_OPT_LIST",
         early(on_option(Option::list, [](OptionRequest& /*option*/, Flow& flow) { flow.drop(); }))},
        {"list-data-accepted", "LIST-DATA-REFUSED", "lists its exports although NBD_OPT_LIST came with data",
         early(
             on_option(Option::list, [](OptionRequest& option, Flow& /*flow*/) { option.payload.clear(); }))},
        {"list-error-and-listing", "OPTION-REPLY-ASKED",
         "refuses NBD_OPT_LIST with data and lists its exports all the same",
         early(on_option(Option::list,
                         [](OptionRequest& option, Flow& flow) {
                             if (!option.payload.empty()) {
                                 flow.to_client(option_reply(option.option, OptionReplyType::err_invalid));
                                 option.payload.clear();
                             }
                         }))},
        {"list-empty", "LIST-NAMES-EXPORTS", "lists no exports",
         early(twist([](OptionReply& reply, Flow& flow) {
             if (reply.type == OptionReplyType::server) {
                 flow.drop();
             }
         }))},
        {"list-name-too-long", "SERVER-REPLY-LAYOUT",
         "announces a longer name than NBD_REP_SERVER has room for", early(twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::server && reply.payload.size() >= 4) {
                 nbd::detail::store_big(reply.payload.data(),
                                        static_cast<std::uint32_t>(reply.payload.size() - 3));
             }
         }))},
        {"list-reply-short", "SERVER-REPLY-LAYOUT", "sends NBD_REP_SERVER with 3 bytes of data",
         early(twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::server) {
                 reply.payload.resize(3);
             }
         }))},
        {"list-reply-strange", "LIST-REPLIES", "ends the answer to NBD_OPT_LIST with an unknown reply type",
         strange_reply(Option::list)},
        {"list-reply-info", "INFO-REPLY-PLACE", "answers NBD_OPT_LIST with NBD_REP_INFO, too",
         early(on_option(Option::list,
                         [](OptionRequest& option, Flow& flow) {
                             flow.to_client(option_reply(
                                 option.option, OptionReplyType::info,
                                 nbd::encode(nbd::InfoText{nbd::InfoType::description, "what it lists"})));
                         }))},
        {"list-reply-context", "META-REPLY-PLACE", "answers NBD_OPT_LIST with NBD_REP_META_CONTEXT, too",
         early(on_option(Option::list,
                         [](OptionRequest& option, Flow& flow) {
                             flow.to_client(option_reply(
                                 option.option, OptionReplyType::meta_context,
                                 nbd::encode(nbd::MetaContextReply{0, std::string(nbd::base_allocation)})));
                         }))},
        {"list-ghost", "SERVER-REPLY-NAME", "lists an export that it does not have",
         early(on_option_reply(Option::list,
                               [](OptionReply& reply, Flow& flow) {
                                   if (reply.type == OptionReplyType::ack) {
                                       flow.to_client(
                                           option_reply(reply.option, OptionReplyType::server,
                                                        nbd::encode(nbd::ServerReply{"ghost", {}})));
                                   }
                               }))},
        {"list-name-other", "SERVER-REPLY-NAME",
         "lists its exports under names by which nobody can have them",
         on_listed_name([](std::string& name) { name = "ghost"; })},
        {"list-details-not-text", "SERVER-REPLY-DETAILS", "lists exports with details that are no text",
         early(twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::server) {
                 edit<nbd::ServerReply>(reply.payload,
                                        [](nbd::ServerReply& server) { server.description = "\xfe\xff"; });
             }
         }))},
        {"list-name-300", "STRING-SHORT", "lists a name of 300 bytes",
         on_listed_name([](std::string& name) { name.resize(300, 'n'); })},
        {"list-name-nul", "STRING-NO-NUL", "lists a name with NUL at its end",
         on_listed_name([](std::string& name) { name.push_back('\0'); })},
        {"list-name-not-utf8", "STRING-UTF8", "lists a name that is not UTF-8",
         on_listed_name([](std::string& name) { name += "\xff\xfe"; })},
        {"list-name-4097", "STRING-LENGTH", "lists a name of 4097 bytes",
         on_listed_name([](std::string& name) { name.resize(nbd::max_string + 1, 'n'); })},
    };
}

Table others() {
    return {
        {"abort-unanswered", "ABORT-ACK", "closes the connection on NBD_OPT_ABORT without a reply",
         early(on_option(Option::abort, [](OptionRequest& /*option*/, Flow& flow) { flow.hang_up(); }))},
        {"abort-unimplemented", "BASELINE-ABORT", "answers NBD_REP_ERR_UNSUP to NBD_OPT_ABORT",
         always(Option::abort, OptionReplyType::err_unsup)},
        {"abort-refused", "ABORT-ACK", "answers NBD_REP_ERR_INVALID to NBD_OPT_ABORT",
         always(Option::abort, OptionReplyType::err_invalid)},
        {"abort-data-refused", "ABORT-DATA-IGNORED", "refuses NBD_OPT_ABORT because it came with data",
         early(on_option(Option::abort,
                         [](OptionRequest& option, Flow& flow) {
                             if (!option.payload.empty()) {
                                 answer(flow, option_reply(option.option, OptionReplyType::err_invalid));
                             }
                         }))},
        {"shutdown-forgotten", "SHUTDOWN-OPTIONS",
         "answers NBD_REP_ERR_SHUTDOWN to one unknown option, and others as if nothing had been",
         on_unknown_option([n = 0](OptionRequest& option, Flow& flow) mutable {
             if (n++ == 0) {
                 answer(flow, option_reply(option.option, OptionReplyType::err_shutdown));
             }
         })},
        {"tls-demanded", "NOTLS-NO-DEMAND",
         "answers NBD_REP_ERR_TLS_REQD to NBD_OPT_LIST though it has no TLS",
         always(Option::list, OptionReplyType::err_tls_reqd)},
        {"starttls-reply-strange", "STARTTLS-REPLIES", "answers NBD_OPT_STARTTLS with an unknown reply type",
         strange_reply(Option::starttls)},
        {"starttls-in-clear", "STARTTLS-NO-CLEAR",
         "answers NBD_REP_ACK to NBD_OPT_STARTTLS and goes on in clear",
         always(Option::starttls, OptionReplyType::ack)},
        {"starttls-data-accepted", "NOTLS-STARTTLS", "does not mind data of NBD_OPT_STARTTLS",
         early(on_option(Option::starttls,
                         [](OptionRequest& option, Flow& flow) {
                             if (!option.payload.empty()) {
                                 answer(flow, option_reply(option.option, OptionReplyType::ack));
                             }
                         }))},
        {"starttls-data-silent", "OPTION-ANSWERED", "does not answer NBD_OPT_STARTTLS that comes with data",
         early(on_option(Option::starttls,
                         [](OptionRequest& option, Flow& flow) {
                             if (!option.payload.empty()) {
                                 flow.drop();
                             }
                         }))},
        {"structured-reply-strange", "STRUCTURED-REPLIES",
         "answers NBD_OPT_STRUCTURED_REPLY with an unknown reply type",
         strange_reply(Option::structured_reply)},
        {"structured-data-accepted", "STRUCTURED-DATA-REFUSED",
         "does not mind data of NBD_OPT_STRUCTURED_REPLY",
         early(on_option(Option::structured_reply,
                         [](OptionRequest& option, Flow& /*flow*/) { option.payload.clear(); }))},
        {"structured-forgotten", "READ-NO-SIMPLE",
         "answers NBD_REP_ACK to NBD_OPT_STRUCTURED_REPLY and sends simple replies to reads",
         early(on_option(Option::structured_reply,
                         [](OptionRequest& option, Flow& flow) {
                             answer(flow, option_reply(option.option, OptionReplyType::ack));
                         }))},
        {"extended-reply-strange", "EXTENDED-REPLIES",
         "answers NBD_OPT_EXTENDED_HEADERS with an unknown reply type",
         strange_reply(Option::extended_headers)},
        {"extended-after-structured-only", "EXTENDED-ALONE",
         "refuses NBD_OPT_EXTENDED_HEADERS unless structured replies were agreed before",
         early(on_option(Option::extended_headers,
                         [](OptionRequest& option, Flow& flow) {
                             if (!flow.told().structured) {
                                 answer(flow, option_reply(option.option, OptionReplyType::err_invalid));
                             }
                         }))},
        {"extended-overridden", "EXTENDED-PRECEDENCE",
         "sends compact headers once structured replies are asked for behind extended headers",
         early(twist_with(
             false,
             [](bool& overridden, OptionReply& reply, Flow& flow) {
                 overridden =
                     overridden || (reply.option == Option::structured_reply && flow.told().extended);
             },
             [](bool& overridden, Chunk& chunk) {
                 if (overridden) {
                     chunk.magic = nbd::structured_reply_magic;
                     chunk.style = nbd::HeaderStyle::compact;
                 }
             }))},
        {"extended-block-size-reqd", "EXTENDED-NO-BLOCK-SIZE-REQD",
         "answers NBD_REP_ERR_BLOCK_SIZE_REQD to NBD_OPT_EXTENDED_HEADERS",
         always(Option::extended_headers, OptionReplyType::err_block_size_reqd)},
        {"extended-data-accepted", "EXTENDED-DATA-REFUSED", "does not mind data of NBD_OPT_EXTENDED_HEADERS",
         early(on_option(Option::extended_headers,
                         [](OptionRequest& option, Flow& /*flow*/) { option.payload.clear(); }))},
    };
}

} // namespace

Table option_faults() {
    return joined({general, unknown_options, listing, others});
}

} // namespace faults
