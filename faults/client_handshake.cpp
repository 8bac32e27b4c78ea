// Faults of clients in the handshake: client flags, the order of options, how an export is entered and how
// the handshake is left (Newstyle negotiation, Termination of the session during option haggling).

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

namespace faults {
namespace {

using nbd::Option;
using nbd::OptionReplyType;
namespace client_says = nbd::client_flag;
namespace server_says = nbd::handshake_flag;

constexpr OptionRequest without_data(Option option) {
    return {nbd::option_magic, option, {}, {}};
}

/// True if it is the one by which an export is entered.
bool enters(const OptionRequest& option) {
    return option.option == Option::go || option.option == Option::export_name;
}

/// Leaves the client no other way than NBD_OPT_EXPORT_NAME.
constexpr auto only_by_name = [](OptionRequest& option, Flow& flow) {
    if (option.option != Option::export_name) {
        decline(option, flow);
    }
};

Recipe without_fixed_flag() {
    return twist([](ClientFlags& flags) { flags.flags &= ~client_says::fixed_newstyle; }, only_by_name);
}

Recipe relies_on_fixed() {
    return twist([](ClientFlags& flags) { flags.flags &= ~client_says::fixed_newstyle; });
}

/// Takes a server of plain newstyle for one of fixed newstyle.
Recipe options_unfixed() {
    return twist_with(
        false,
        [](bool& plain, Greeting& greeting) {
            plain = (greeting.flags & server_says::fixed_newstyle) == 0;
            greeting.flags |= server_says::fixed_newstyle;
        },
        [](bool& plain, ClientFlags& flags) {
            flags.flags &= plain ? ~client_says::fixed_newstyle : ~std::uint32_t{0};
        });
}

/// Enters by NBD_OPT_EXPORT_NAME where the client means to enter by NBD_OPT_GO.
class ByExportName {
  public:
    static void ask(ByExportName& state, OptionRequest& option, Flow& flow) {
        const auto data = payload_as<nbd::InfoRequest>(option.payload);
        if (option.option != Option::go || !data) {
            return;
        }
        state.active_ = true;
        flow.drop();
        flow.to_server({OptionRequest{nbd::option_magic,
                                      Option::export_name,
                                      {},
                                      {data->export_name.begin(), data->export_name.end()}}});
    }
    static void answer(ByExportName& state, ExportReply& reply, Flow& flow) {
        if (state.active_) {
            flow.drop();
            tell_export(flow, reply.size, reply.flags);
        }
    }

  private:
    bool active_ = false;
};

constexpr auto answer_by_name = [](ByExportName& state, ExportReply& reply, Flow& flow) {
    ByExportName::answer(state, reply, flow);
};

Recipe export_name_extended() {
    return twist_with(
        ByExportName{},
        [](ByExportName& state, OptionRequest& option, Flow& flow) {
            if (flow.told().extended) {
                ByExportName::ask(state, option, flow);
            }
        },
        answer_by_name);
}

/// NBD_OPT_INFO with block sizes, which succeeds, and then NBD_OPT_EXPORT_NAME.
Recipe export_name_with_block_sizes() {
    struct State {
        ByExportName by_name;
        std::optional<OptionRequest> go;
    };
    return twist_with(
        State{},
        [](State& state, OptionRequest& option, Flow& flow) {
            if (option.option == Option::extended_headers) {
                return decline(option, flow);
            }
            if (option.option == Option::go) {
                edit_info(option,
                          [](nbd::InfoRequest& data) { data.requests = {nbd::InfoType::block_size}; });
                state.go = option;
                option.option = Option::info;
            }
        },
        [](State& state, OptionReply& reply, Flow& flow) {
            if (!state.go) {
                return;
            }
            flow.drop();
            if (ends_option(reply.type)) {
                OptionRequest go = *std::exchange(state.go, std::nullopt);
                ByExportName::ask(state.by_name, go, flow);
            }
        },
        [](State& state, ExportReply& reply, Flow& flow) {
            ByExportName::answer(state.by_name, reply, flow);
        });
}

/// Sends an option right behind the first one.
Recipe option_unawaited() {
    return twist_with(
        Option::abort,
        [](Option& first, OptionRequest& option, Flow& flow) {
            if (flow.told().options == 1 && !enters(option)) {
                first = option.option;
                flow.forward();
                flow.to_server(without_data(Option::list));
            }
        },
        [](Option& first, OptionReply& reply, Flow& flow) {
            if (reply.option == Option::list && first != Option::list) {
                flow.drop();
            }
        });
}

/// Asks once more for what was granted.
Recipe option_twice() {
    return twist_with(std::optional<OptionReply>(),
                      [](std::optional<OptionReply>& granted, OptionReply& reply, Flow& flow) {
                          if (granted) {
                              flow.drop();
                              flow.to_client(*std::exchange(granted, std::nullopt));
                              return;
                          }
                          const bool changes_state = reply.option == Option::structured_reply ||
                                                     reply.option == Option::extended_headers;
                          if (changes_state && reply.type == OptionReplyType::ack) {
                              granted = reply;
                              flow.drop();
                              flow.to_server(without_data(reply.option));
                          }
                      });
}

Recipe request_too_early() {
    return twist(
        [](OptionRequest& option, Flow& flow) {
            if (enters(option)) {
                flow.forward();
                flow.to_server(aside(flow.told(), nbd::Command::read, 0, small_length(flow.told())));
            }
        },
        keep_reply, keep_chunk);
}

Recipe option_after_entering() {
    return twist([](OptionReply& reply, Flow& flow) {
        if (reply.option == Option::go && reply.type == OptionReplyType::ack) {
            flow.forward();
            flow.to_server(without_data(Option::list));
        }
    });
}

Recipe goes_on_after_abort() {
    return twist([](OptionRequest& option, Flow& flow) {
        if (option.option == Option::abort) {
            flow.forward();
            flow.to_server(without_data(Option::list));
        }
    });
}

Recipe leaves_without_abort() {
    return twist([](OptionRequest& option, Flow& flow) {
        if (option.option == Option::abort) {
            flow.drop();
            flow.hang_up();
        }
    });
}

/// One option more between NBD_REP_ERR_SHUTDOWN and NBD_OPT_ABORT.
Recipe goes_on_after_shutdown() {
    struct State {
        bool told = false;
        bool asked = false;
    };
    return twist_with(
        State{},
        [](State& state, OptionReply& reply, Flow& flow) {
            state.told = state.told || reply.type == OptionReplyType::err_shutdown;
            if (state.asked && reply.option == Option::list) {
                flow.drop();
                if (ends_option(reply.type)) {
                    flow.to_server(without_data(Option::abort));
                }
            }
        },
        [](State& state, OptionRequest& option, Flow& flow) {
            if (state.told && option.option == Option::abort) {
                state.asked = true;
                flow.drop();
                flow.to_server(without_data(Option::list));
            }
        });
}

/// Leaves the transmission phase as if it were the handshake.
Recipe abort_for_disc() {
    return twist([](Request& request, Flow& flow) {
        if (request.type == nbd::Command::disc) {
            flow.drop();
            flow.to_server(without_data(Option::abort));
        }
    });
}

/// Leaves the handshake as if it were the transmission phase.
Recipe disc_for_abort() {
    return twist([](OptionRequest& option, Flow& flow) {
        if (option.option == Option::abort) {
            flow.drop();
            flow.to_server(aside(flow.told(), nbd::Command::disc));
        }
    });
}

/// Turns back at the door.
Recipe abort_for_go() {
    return twist([](OptionRequest& option) {
        if (enters(option)) {
            option = without_data(Option::abort);
        }
    });
}

std::uint32_t swapped(std::uint32_t number) {
    return (number << 24) | ((number & 0xff00U) << 8) | ((number >> 8) & 0xff00U) | (number >> 24);
}

} // namespace

Recipe enters_by_name() {
    return twist_with(
        ByExportName{},
        [](ByExportName& state, OptionRequest& option, Flow& flow) {
            if (option.option == Option::extended_headers) {
                return decline(option, flow);
            }
            ByExportName::ask(state, option, flow);
        },
        answer_by_name);
}

Table client_handshake_faults() {
    return {
        {"client-flags-unknown", "CLIENT-FLAGS-KNOWN", "sets a client flag that means nothing",
         twist([](ClientFlags& flags) { flags.flags |= 1U << 7; })},
        {"client-flags-not-offered", "CLIENT-FLAGS-OFFERED",
         "sets NBD_FLAG_C_NO_ZEROES although the server has not set its flag",
         twist([](ClientFlags& flags) { flags.flags |= client_says::no_zeroes; })},
        {"client-flags-little-endian", "NUMBERS-BIG-ENDIAN",
         "sends the client flags with the least significant byte first",
         twist([](ClientFlags& flags) { flags.flags = swapped(flags.flags); })},
        {"client-flags-not-fixed", "FIXED-FLAG-CLIENT",
         "does not set NBD_FLAG_C_FIXED_NEWSTYLE, and enters by NBD_OPT_EXPORT_NAME", without_fixed_flag()},
        {"client-flags-not-fixed-options", "FIXED-FLAG-RELIED",
         "does not set NBD_FLAG_C_FIXED_NEWSTYLE, and sends options as if it had", relies_on_fixed()},
        {"options-to-newstyle", "OPTION-FIXED",
         "sends other options than NBD_OPT_EXPORT_NAME to a server without fixed newstyle",
         options_unfixed()},
        {"option-magic", "OPTION-MAGIC", "begins options with another magic number",
         twist([](OptionRequest& option) { option.magic += 1; })},
        {"option-byte-behind", "OPTION-LENGTH", "sends a byte behind the data of its first option",
         twist([](OptionRequest& option, Flow& flow) {
             if (flow.told().options == 1) {
                 option.length = static_cast<std::uint32_t>(option.payload.size());
                 option.payload.push_back(0);
             }
         })},
        {"option-length-beyond", "OPTION-LENGTH", "announces a byte more than its last option has",
         twist([](OptionRequest& option) {
             if (enters(option)) {
                 option.length = static_cast<std::uint32_t>(option.payload.size()) + 1;
             }
         })},
        {"option-not-awaited", "OPTION-WAITS", "sends a second option before the first one is answered",
         option_unawaited()},
        {"option-twice", "OPTION-ONCE", "asks for structured replies or extended headers a second time",
         option_twice()},
        {"request-before-entry", "ENTERED-BEFORE-REQUESTS",
         "sends a read right behind NBD_OPT_GO, before that is answered", request_too_early()},
        {"option-after-entry", "GO-ENDS-OPTIONS", "sends NBD_OPT_LIST after NBD_OPT_GO has succeeded",
         option_after_entering()},
        {"option-after-abort", "ABORT-ENDS", "sends NBD_OPT_LIST after NBD_OPT_ABORT", goes_on_after_abort()},
        {"abort-for-disc", "GO-ENDS-OPTIONS", "leaves the transmission phase by NBD_OPT_ABORT",
         abort_for_disc()},
        {"disc-for-abort", "ENTERED-BEFORE-REQUESTS", "leaves the handshake by NBD_CMD_DISC",
         disc_for_abort()},
        {"abort-for-go", "HANDSHAKE-COMPLETES", "leaves by NBD_OPT_ABORT where it means to enter",
         abort_for_go()},
        {"leave-without-abort", "HAGGLING-SOFT-END", "leaves the handshake without NBD_OPT_ABORT",
         leaves_without_abort()},
        {"stay-after-shutdown", "SHUTDOWN-ABORT",
         "answers NBD_REP_ERR_SHUTDOWN with NBD_OPT_LIST, and leaves only then", goes_on_after_shutdown()},
        {"enter-by-name", "GO-PREFERRED", "enters by NBD_OPT_EXPORT_NAME though NBD_OPT_GO is known",
         enters_by_name()},
        {"enter-by-name-extended", "EXPORT-NAME-COMPACT",
         "enters by NBD_OPT_EXPORT_NAME with extended headers agreed", export_name_extended()},
        {"enter-by-name-block-sizes", "BLOCK-SIZE-GO",
         "asks for block sizes by NBD_OPT_INFO and then enters by NBD_OPT_EXPORT_NAME",
         export_name_with_block_sizes()},
    };
}

} // namespace faults
