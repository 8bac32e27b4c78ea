// Faults of clients that ask for TLS (TLS support, Client-side requirements; doc/uri.md, NBD URI scheme).
// Most of them see a client that does so as `asks_for_tls` has it.

#include "faults/client_tls.hpp"

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <string>
#include <utility>

namespace faults {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

OptionRequest without_data(Option option) {
    return {nbd::option_magic, option, {}, {}};
}

/// A ClientHello of TLS 1.2, which offers two suites of ciphers that every server knows, and no extensions.
const nbd::Buffer& client_hello() {
    static const nbd::Buffer hello = [] {
        constexpr std::uint8_t random_size = 32;
        nbd::Buffer bytes{0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3};
        for (std::uint8_t i = 0; i < random_size; ++i) {
            bytes.push_back(i);
        }
        bytes.insert(bytes.end(), {0, 0, 4, 0xc0, 0x2f, 0, 0x9c, 1, 0});
        return bytes;
    }();
    return hello;
}

struct Asking {
    bool fixed = false;                ///< agreed so far
    bool asked = false;                ///< NBD_OPT_STARTTLS was sent
    bool begun = false;                ///< the server has agreed
    std::optional<OptionRequest> held; ///< the client's first option, until that is answered
};

/// What a fault does with the answer to NBD_OPT_STARTTLS.
template <class Answered>
Recipe on_starttls_reply(Answered answered) {
    return twist([answered](OptionReply& reply, Flow& flow) {
        if (reply.option == Option::starttls) {
            answered(reply, flow);
        }
    });
}

void leave(Flow& flow) {
    flow.to_server(without_data(Option::abort));
    flow.hang_up();
}

/// STARTTLS by a client that has not said that it speaks fixed newstyle.
Recipe starttls_unfixed() {
    return twist_with(
        std::optional<OptionRequest>(),
        [](std::optional<OptionRequest>& /*held*/, ClientFlags& flags) {
            flags.flags &= ~nbd::client_flag::fixed_newstyle;
        },
        [](std::optional<OptionRequest>& held, OptionRequest& option, Flow& flow) {
            if (flow.told().options == 1) {
                held = option;
                flow.drop();
                flow.to_server(without_data(Option::starttls));
            } else if (option.option != Option::export_name) {
                decline(option, flow);
            }
        },
        [](std::optional<OptionRequest>& held, OptionReply& /*reply*/, Flow& flow) {
            if (held) {
                flow.drop();
                decline(*std::exchange(held, std::nullopt), flow);
            }
        });
}

/// Begins TLS although the server has refused it.
Recipe tls_after_refusal() {
    return on_starttls_reply([](const OptionReply& reply, Flow& flow) {
        if (nbd::is_error(reply.type)) {
            flow.to_server(Raw{Side::client, client_hello()});
        }
    });
}

/// Leaves a server that does not have TLS.
Recipe insists_on_tls() {
    return on_starttls_reply([](const OptionReply& reply, Flow& flow) {
        if (nbd::is_error(reply.type)) {
            flow.drop();
            leave(flow);
        }
    });
}

/// Takes it for a refusal that the server agrees.
Recipe clear_text_after_starttls() {
    return on_starttls_reply([](OptionReply& reply, Flow& /*flow*/) {
        if (reply.type == OptionReplyType::ack) {
            reply.type = OptionReplyType::err_unsup;
        }
    });
}

/// NBD_OPT_STARTTLS when other options have been settled.
Recipe starttls_after_others() {
    return ask_before([](const OptionRequest& next, const Conversation& told) {
        return next.option == Option::go && told.options > 1 ? std::optional(without_data(Option::starttls))
                                                             : std::nullopt;
    });
}

/// An option before NBD_OPT_STARTTLS.
Recipe option_before_starttls(Option first) {
    return ask_before([first](const OptionRequest& next, const Conversation& /*told*/) {
        return next.option == Option::starttls ? std::optional(without_data(first)) : std::nullopt;
    });
}

/// Something else than the handshake of TLS comes first.
Recipe tls_without_handshake() {
    constexpr std::uint8_t application_data = 0x17;
    return twist([](Raw& raw) {
        if (raw.from == Side::client && raw.bytes == client_hello()) {
            raw.bytes.front() = application_data;
        }
    });
}

/// Sends an option in clear where the server tells that the handshake of TLS has failed.
Recipe option_after_failed_tls(Option option) {
    return twist([option](Raw& raw, Flow& flow) {
        if (raw.from == Side::server && flow.told().tls) {
            flow.drop();
            flow.to_server(Raw{Side::client, encode(without_data(option))});
        }
    });
}

/// Wants nothing but TLS, but asks for something in clear before that (`early`), or after it was refused.
Recipe insists_but_asks(Option option, bool early) {
    struct State {
        std::optional<OptionRequest> held; ///< NBD_OPT_STARTTLS
        bool leaving = false;
    };
    return twist_with(
        State{},
        [=](State& state, OptionRequest& request, Flow& flow) {
            if (early && request.option == Option::starttls) {
                state.held = request;
                flow.drop();
                flow.to_server(without_data(option));
            }
        },
        [=](State& state, OptionReply& reply, Flow& flow) {
            flow.drop();
            if (!ends_option(reply.type)) {
                return;
            }
            if (state.held) {
                flow.to_server(*std::exchange(state.held, std::nullopt));
            } else if (early || state.leaving) {
                leave(flow);
            } else {
                state.leaving = true;
                flow.to_server(without_data(option));
            }
        });
}

std::string for_tls(std::string text) {
    return text.starts_with("nbds") ? "nbd" + text.substr(4) : text;
}

Fault tls_fault(std::string_view name, std::string_view requirement, std::string_view sentence,
                Recipe recipe) {
    return {name, requirement, sentence, std::move(recipe), nullptr, true};
}

/// A fault that shows with URIs that demand TLS, which this client cannot have.
Fault tls_uri_fault(std::string_view name, std::string_view requirement, std::string_view sentence,
                    Recipe recipe) {
    return {name, requirement, sentence, std::move(recipe), for_tls, true};
}

} // namespace

Recipe asks_for_tls(bool insists) {
    return twist_with(
        Asking{},
        [insists](Asking& state, Greeting& greeting, Flow& flow) {
            state.fixed = !greeting.oldstyle && (greeting.flags & nbd::handshake_flag::fixed_newstyle) != 0;
            if (!state.fixed && insists) {
                flow.drop();
                flow.hang_up();
            }
        },
        [](Asking& state, ClientFlags& flags) {
            state.fixed = state.fixed && (flags.flags & nbd::client_flag::fixed_newstyle) != 0;
        },
        [](Asking& state, OptionRequest& option, Flow& flow) {
            if (state.fixed && !std::exchange(state.asked, true)) {
                state.held = option;
                flow.drop();
                flow.to_server(without_data(Option::starttls));
            }
        },
        [insists](Asking& state, OptionReply& reply, Flow& flow) {
            if (!state.held) {
                return;
            }
            flow.drop();
            if (state.begun) {
                flow.hang_up();
            } else if (reply.type == OptionReplyType::ack) {
                state.begun = true;
                flow.to_server(Raw{Side::client, client_hello()});
            } else if (nbd::is_error(reply.type) && insists) {
                leave(flow);
            } else if (nbd::is_error(reply.type)) {
                flow.to_server(*std::exchange(state.held, std::nullopt));
            } else {
                flow.hang_up();
            }
        },
        [](Asking& state, Raw& raw, Flow& flow) {
            if (state.begun && raw.from == Side::server) {
                flow.drop();
                flow.hang_up();
            }
        });
}

Table client_tls_faults() {
    return {
        tls_fault("starttls-with-data", "STARTTLS-NO-DATA", "sends data with NBD_OPT_STARTTLS",
                  twist([](OptionRequest& option) {
                      if (option.option == Option::starttls) {
                          option.payload = {1, 2, 3, 4};
                      }
                  })),
        {"starttls-not-fixed", "STARTTLS-FIXED",
         "sends NBD_OPT_STARTTLS without having set NBD_FLAG_C_FIXED_NEWSTYLE", starttls_unfixed()},
        tls_fault("starttls-late", "STARTTLS-FIRST", "asks for TLS after NBD_OPT_LIST",
                  option_before_starttls(Option::list)),
        {"starttls-after-state", "STARTTLS-BEFORE-STATE", "asks for TLS after options that change state",
         starttls_after_others()},
        tls_fault("starttls-after-refusal", "STARTTLS-REFUSED", "begins TLS though the server has refused it",
                  tls_after_refusal()),
        tls_fault("insist-on-tls", "BASELINE-NOTLS", "leaves a server that does not have TLS",
                  insists_on_tls()),
        tls_fault("starttls-clear", "STARTTLS-NO-CLEAR",
                  "goes on without TLS after NBD_OPT_STARTTLS was granted", clear_text_after_starttls()),
        tls_fault("starttls-no-handshake", "STARTTLS-UPGRADE",
                  "sends data without a handshake of TLS after NBD_OPT_STARTTLS was granted",
                  tls_without_handshake()),
        tls_fault("tls-failure-ignored", "TLS-FAILED-CLIENT",
                  "sends NBD_OPT_LIST in clear where the handshake of TLS has failed",
                  option_after_failed_tls(Option::list)),
        tls_fault("tls-failure-aborts", "HARD-END-CLIENT",
                  "sends NBD_OPT_ABORT in clear where the handshake of TLS has failed",
                  option_after_failed_tls(Option::abort)),
        tls_fault("tls-enter-by-name", "TLS-GO",
                  "asks for TLS, and enters by NBD_OPT_EXPORT_NAME though NBD_OPT_GO is known",
                  enters_by_name()),
        tls_uri_fault("tls-refused-asks-on", "TLS-ONLY-LEAVES",
                      "demands TLS, sends NBD_OPT_LIST where it is refused, and leaves only then",
                      insists_but_asks(Option::list, false)),
        tls_uri_fault("uri-tls-fallback", "URI-TLS-FAILS",
                      "goes on without TLS where that is refused, although the URI demands it",
                      twist([](Raw& /*raw*/) {})),
        tls_uri_fault("uri-tls-late", "URI-TLS-USED",
                      "demands TLS, but sends NBD_OPT_STRUCTURED_REPLY before it asks for that",
                      insists_but_asks(Option::structured_reply, true)),
        tls_uri_fault("uri-tls-list-first", "TLS-BEFORE-SECRETS",
                      "demands TLS, but asks for the list of exports before it asks for that",
                      insists_but_asks(Option::list, true)),
    };
}

} // namespace faults
