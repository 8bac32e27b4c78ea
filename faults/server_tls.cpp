// Servers with TLS, as far as they can be told from others in clear (TLS support): sound ones, which are
// oddities, and broken ones. None of them knows TLS, so that its handshake always fails.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace faults {

using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

namespace {

/// The export that servers with TLS for those who want it have with TLS only.
constexpr std::string_view tls_only_export = "secret";

/// Longer than anybody waits for the end of a connection.
constexpr std::chrono::seconds long_time{30};

void refuse_for(OptionRequest& option, Flow& flow, OptionReplyType why) {
    answer(flow, option_reply(option.option, why));
}

/// Something about an export, which only who has TLS should know.
OptionReply description_told(Option option) {
    return option_reply(option, OptionReplyType::info,
                        nbd::encode(nbd::InfoText{InfoType::description, "what it is for"}));
}

/// What comes in clear where TLS is due ends the session, and so does the end of it.
Recipe failing_tls() {
    return twist(
        [](Raw& raw, Flow& flow) {
            if (raw.from == Side::client && flow.told().tls) {
                flow.hang_up();
            }
        },
        [](Ended ended, Flow& flow) {
            if (ended.who == Side::client && flow.told().tls) {
                flow.hang_up();
            }
        });
}

/// Who answers in the server's place has to look at the client flags as it does.
Recipe demanding(std::uint32_t client_flags) {
    return twist([client_flags](ClientFlags& flags, Flow& flow) {
        constexpr std::uint32_t known = nbd::client_flag::fixed_newstyle | nbd::client_flag::no_zeroes;
        if ((flags.flags & client_flags) != client_flags || (flags.flags & ~known) != 0) {
            flow.hang_up();
        }
    });
}

/// TLS can be asked for, if fixed newstyle was agreed. Where `first(OptionRequest, Flow)` is true it has
/// dealt with an option in a way of its own; `then(OptionRequest, Flow)` deals with the others.
template <class First, class Then>
Recipe with_starttls(std::uint32_t client_flags, First first, Then then) {
    const Recipe options = twist([first, then](OptionRequest& option, Flow& flow) {
        const bool fixed = (flow.told().client_flags & nbd::client_flag::fixed_newstyle) != 0;
        if (flow.told().transmission || first(option, flow)) {
            return;
        }
        if (option.option == Option::starttls && fixed) {
            answer(flow, option_reply(option.option, OptionReplyType::ack));
        } else {
            then(option, flow);
        }
    });
    return early(both(demanding(client_flags), both(options, failing_tls())));
}

/// A server with TLS only. Without both flags for fixed newstyle there is no TLS, and nothing else goes.
template <class First>
Recipe forced(First first) {
    return with_starttls(nbd::client_flag::fixed_newstyle, first, [](OptionRequest& option, Flow& flow) {
        const bool cannot_be_refused = option.option == Option::export_name;
        if (cannot_be_refused || option.length) {
            flow.hang_up();
        } else if (option.option != Option::abort) {
            refuse_for(option, flow, OptionReplyType::err_tls_reqd);
        }
    });
}

/// A server with TLS for those who want it. One export is with TLS only, which is none to the server below;
/// to who has no TLS others that there are not look the same.
template <class First>
Recipe selective(First first) {
    const auto give_contexts = [](OptionRequest& option, Flow& /*flow*/) {
        const bool about_contexts =
            option.option == Option::list_meta_context || option.option == Option::set_meta_context;
        if (about_contexts && name_in(option) == tls_only_export) {
            option = renamed(option, {});
        }
    };
    return both(with_starttls(0, first, give_contexts), twist([](OptionReply& reply) {
                    if (asks_info(reply.option) && reply.type == OptionReplyType::err_unknown) {
                        reply.type = OptionReplyType::err_tls_reqd;
                        reply.payload.clear();
                    }
                }));
}

bool as_usual(OptionRequest& /*option*/, Flow& /*flow*/) {
    return false;
}

/// One option, in clear, is dealt with in this way: `act(OptionRequest&, Flow&)`.
template <class Act>
auto only(Option which, Act act) {
    return [which, act](OptionRequest& option, Flow& flow) {
        if (option.option == which) {
            act(option, flow);
        }
        return option.option == which;
    };
}

auto answered(Option which, OptionReplyType type) {
    return only(which, [type](OptionRequest& option, Flow& flow) { refuse_for(option, flow, type); });
}

/// One way to the export with TLS only leads into the default one.
auto open_way(Option which) {
    return [which](OptionRequest& option, Flow& /*flow*/) {
        const bool taken = option.option == which && name_in(option) == tls_only_export;
        if (taken) {
            option = renamed(option, {});
        }
        return taken;
    };
}

Table with_tls_only() {
    return {
        {"tls-only-starttls-refused", "FORCEDTLS-STARTTLS",
         "asks for TLS and answers NBD_REP_ERR_POLICY to NBD_OPT_STARTTLS",
         forced(answered(Option::starttls, OptionReplyType::err_policy))},
        {"tls-only-structured", "FORCEDTLS-REFUSES",
         "asks for TLS, and answers NBD_REP_ACK to NBD_OPT_STRUCTURED_REPLY before there is any",
         forced(answered(Option::structured_reply, OptionReplyType::ack))},
        {"tls-only-unknown-option", "FORCEDTLS-REFUSES",
         "asks for TLS, and answers NBD_REP_ERR_UNSUP to unknown options before there is any",
         forced([](OptionRequest& option, Flow& flow) {
             const bool unknown = option.option > Option::extended_headers;
             if (unknown) {
                 refuse_for(option, flow, OptionReplyType::err_unsup);
             }
             return unknown;
         })},
        {"tls-only-go-unknown", "FORCEDTLS-GO",
         "asks for TLS, and answers NBD_REP_ERR_UNKNOWN to NBD_OPT_GO before there is any",
         forced(answered(Option::go, OptionReplyType::err_unknown))},
        {"tls-only-go-enters", "FORCEDTLS-GO", "asks for TLS, and lets everybody in by NBD_OPT_GO",
         forced(only(Option::go, [](OptionRequest& /*option*/, Flow& /*flow*/) {}))},
        {"tls-only-export-name-enters", "FORCEDTLS-EXPORT-NAME",
         "asks for TLS, and lets everybody in by NBD_OPT_EXPORT_NAME",
         forced(only(Option::export_name, [](OptionRequest& /*option*/, Flow& /*flow*/) {}))},
        {"tls-only-export-name-error", "EXPORT-NAME-NO-ERROR",
         "asks for TLS in an answer to NBD_OPT_EXPORT_NAME, too",
         forced(answered(Option::export_name, OptionReplyType::err_tls_reqd))},
        {"tls-only-info-told", "FORCEDTLS-NO-INFO", "tells what an export is for before it asks for TLS",
         forced([](OptionRequest& option, Flow& flow) {
             if (asks_info(option.option)) {
                 flow.to_client(description_told(option.option));
             }
             return false;
         })},
        {"tls-only-abort-hangs-up", "BASELINE-ABORT",
         "asks for TLS, and closes the connection on NBD_OPT_ABORT before there is any",
         forced(only(Option::abort, [](OptionRequest& /*option*/, Flow& flow) { flow.hang_up(); }))},
    };
}

Table with_tls_and_without() {
    return {
        {"tls-structured-demanded", "SELECTIVETLS-DEMANDS",
         "has TLS for those who want it, and answers NBD_REP_ERR_TLS_REQD to NBD_OPT_STRUCTURED_REPLY",
         selective(answered(Option::structured_reply, OptionReplyType::err_tls_reqd))},
        {"tls-contexts-demanded", "SELECTIVETLS-DEMANDS",
         "has TLS for those who want it, and answers NBD_REP_ERR_TLS_REQD to NBD_OPT_SET_META_CONTEXT",
         selective(answered(Option::set_meta_context, OptionReplyType::err_tls_reqd))},
        {"tls-starttls-late", "SELECTIVETLS-STARTTLS",
         "answers NBD_REP_ERR_INVALID to NBD_OPT_STARTTLS behind other options",
         selective([](OptionRequest& option, Flow& flow) {
             const bool late = option.option == Option::starttls && flow.told().options > 1;
             if (late) {
                 refuse_for(option, flow, OptionReplyType::err_invalid);
             }
             return late;
         })},
        {"tls-go-unknown", "SELECTIVETLS-TLS-ONLY",
         "answers NBD_REP_ERR_UNKNOWN to NBD_OPT_GO for an export with TLS only",
         selective([](OptionRequest& option, Flow& flow) {
             const bool secret = option.option == Option::go && name_in(option) == tls_only_export;
             if (secret) {
                 refuse_for(option, flow, OptionReplyType::err_unknown);
             }
             return secret;
         })},
        {"tls-go-enters", "SELECTIVETLS-TLS-ONLY",
         "lets everybody into an export with TLS only by NBD_OPT_GO", selective(open_way(Option::go))},
        {"tls-export-name-enters", "SELECTIVETLS-EXPORT-NAME",
         "lets everybody into an export with TLS only by NBD_OPT_EXPORT_NAME",
         selective(open_way(Option::export_name))},
        {"tls-info-told", "SELECTIVETLS-NO-INFO",
         "hides that there is no such export, and tells what one with TLS only is for",
         selective([](OptionRequest& option, Flow& flow) {
             if (asks_info(option.option) && name_in(option) == tls_only_export) {
                 flow.to_client(description_told(option.option));
             }
             return false;
         })},
        {"tls-without-fixed", "NOTLS-UNLESS-FIXED",
         "answers NBD_REP_ACK to NBD_OPT_STARTTLS of clients that have not agreed to fixed newstyle",
         selective(answered(Option::starttls, OptionReplyType::ack))},
        {"tls-failed-stays", "TLS-FAILED-SERVER",
         "keeps the connection, in silence, when what comes behind NBD_OPT_STARTTLS is not TLS",
         early(twist(
             [](OptionRequest& option, Flow& flow) {
                 if (option.option == Option::starttls) {
                     answer(flow, option_reply(option.option, OptionReplyType::ack));
                 }
             },
             [](Raw& /*raw*/, Flow& flow) {
                 if (flow.told().tls) {
                     flow.drop();
                 }
             },
             [](Ended ended, Flow& flow) {
                 if (ended.who == Side::client && flow.told().tls) {
                     flow.pause(Side::client, long_time);
                 }
             }))},
        {"tls-after-refusal", "TLS-MODE-CONSISTENT",
         "refuses the first NBD_OPT_STARTTLS of a connection, and takes the second one",
         early(both(on_option(Option::starttls,
                              [n = 0](OptionRequest& option, Flow& flow) mutable {
                                  if (++n > 1) {
                                      answer(flow, option_reply(option.option, OptionReplyType::ack));
                                  }
                              }),
                    failing_tls()))},
        {"clear-after-refusal-closed", "BASELINE-NOTLS",
         "has no TLS, and answers NBD_REP_ERR_POLICY to NBD_OPT_GO of clients that have asked for it",
         early(twist_with(false,
                          [](bool& asked, OptionRequest& option, Flow& flow) {
                              asked = asked || option.option == Option::starttls;
                              if (asked && option.option == Option::go) {
                                  refuse_for(option, flow, OptionReplyType::err_policy);
                              }
                          }))},
    };
}

} // namespace

Table tls_faults() {
    return joined({with_tls_only, with_tls_and_without});
}

Table tls_oddities() {
    return {
        {"forced-tls", "FORCEDTLS-REFUSES", "asks for TLS before anything else, and has none in the end",
         forced(as_usual)},
        {"selective-tls", "SELECTIVETLS-TLS-ONLY",
         "has TLS for those who want it, with which it fails, and for an export that is called secret",
         selective(as_usual)},
    };
}

} // namespace faults
