// Faults of choosing an export (NBD_OPT_EXPORT_NAME, NBD_OPT_GO, Transmission flags).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string>

namespace faults {

using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

namespace flag = nbd::transmission_flag;

namespace {

constexpr std::size_t longest_name = 256;

/// Sets and clears transmission flags.
Recipe flags(std::uint16_t set, std::uint16_t clear) {
    return on_export(
        [set, clear](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*told*/) {
            told = static_cast<std::uint16_t>((told | set) & ~clear);
        });
}

bool enters_or_asks(const OptionRequest& option) {
    return option.option == Option::export_name || asks_info(option.option);
}

Table by_name() {
    return {
        {"export-name-padding-dirty", "EXPORT-NAME-ZEROES",
         "pads the answer to NBD_OPT_EXPORT_NAME with ones",
         twist([](ExportReply& reply) { std::ranges::fill(reply.padding, std::uint8_t{1}); })},
        {"export-name-padding-long", "EXPORT-NAME-ZEROES",
         "pads the answer to NBD_OPT_EXPORT_NAME with two bytes too many", twist([](ExportReply& reply) {
             if (!reply.padding.empty()) {
                 reply.padding.resize(nbd::handshake_padding + 2);
             }
         })},
        {"export-name-padding-short", "EXPORT-NAME-ZEROES",
         "pads the answer to NBD_OPT_EXPORT_NAME with two bytes too few", twist([](ExportReply& reply) {
             if (!reply.padding.empty()) {
                 reply.padding.resize(nbd::handshake_padding - 2);
             }
         })},
        {"export-name-padding-agreed-away", "NO-PADDING",
         "pads the answer to NBD_OPT_EXPORT_NAME although NO_ZEROES was agreed",
         twist([](ExportReply& reply) { reply.padding.resize(nbd::handshake_padding); })},
        {"export-name-padding-left-out", "HANDSHAKE-FLAGS-BEHAVIOUR",
         "does not pad the answer to NBD_OPT_EXPORT_NAME though the client has not set NBD_FLAG_C_NO_ZEROES",
         twist([](ExportReply& reply) { reply.padding.clear(); })},
        {"export-name-framed", "EXPORT-NAME-REPLY", "answers NBD_OPT_EXPORT_NAME with NBD_REP_ACK first",
         twist([](ExportReply& /*reply*/, Flow& flow) {
             flow.to_client(option_reply(Option::export_name, OptionReplyType::ack));
         })},
        {"export-name-size-differs", "INFO-EXPORT-SAME",
         "tells another size in the answer to NBD_OPT_EXPORT_NAME than in NBD_INFO_EXPORT",
         twist([](ExportReply& reply) { reply.size -= 512; })},
        {"export-name-unimplemented", "INTEROP-EXPORT-NAME",
         "closes the connection on any NBD_OPT_EXPORT_NAME",
         on_option(Option::export_name, [](OptionRequest& /*option*/, Flow& flow) { flow.hang_up(); })},
        {"export-name-error", "EXPORT-NAME-NO-ERROR",
         "answers NBD_OPT_EXPORT_NAME for an unknown export with an error before it closes the connection",
         twist([](Ended ended, Flow& flow) {
             if (ended.who == Side::server && flow.told().awaits_export_reply) {
                 flow.to_client(option_reply(Option::export_name, OptionReplyType::err_unknown));
             }
         })},
        {"export-name-any", "EXPORT-UNKNOWN", "lets clients in by NBD_OPT_EXPORT_NAME whatever the name is",
         early(on_option(Option::export_name,
                         [](OptionRequest& option, Flow& /*flow*/) { option = renamed(option, {}); }))},
        {"export-name-stays", "HARD-END-SERVER",
         "keeps the connection open, in silence, when NBD_OPT_EXPORT_NAME names an unknown export",
         early(twist([](Ended ended, Flow& flow) {
             if (ended.who == Side::server && flow.told().awaits_export_reply) {
                 flow.pause(Side::client, std::chrono::seconds(30));
             }
         }))},
    };
}

Table names() {
    return {
        {"export-unknown-accepted", "EXPORT-UNKNOWN",
         "gives the default export to who asks for an unknown one",
         early(twist([](OptionReply& reply, Flow& flow) {
             if (asks_info(reply.option) && reply.type == OptionReplyType::err_unknown &&
                 !flow.told().export_name.empty()) {
                 flow.drop();
                 flow.to_server(renamed(*flow.told().option, {}));
             }
         }))},
        {"export-unknown-hangs-up", "HAGGLING-NO-HANG-UP",
         "closes the connection when an unknown export is asked for",
         early(twist([](OptionReply& reply, Flow& flow) {
             if (reply.type == OptionReplyType::err_unknown) {
                 flow.hang_up();
             }
         }))},
        {"export-unknown-other-error", "EXPORT-UNKNOWN",
         "refuses an unknown export with NBD_REP_ERR_PLATFORM", early(twist([](OptionReply& reply) {
             if (reply.type == OptionReplyType::err_unknown) {
                 reply.type = OptionReplyType::err_platform;
             }
         }))},
        {"export-default-refused", "EXPORT-DEFAULT", "does not have its default export under the empty name",
         early(twist([](OptionRequest& option, Flow& flow) {
             if (!enters_or_asks(option) || !name_in(option).empty()) {
                 return;
             }
             if (option.option == Option::export_name) {
                 flow.hang_up();
             } else {
                 answer(flow, option_reply(option.option, OptionReplyType::err_unknown));
             }
         }))},
        {"export-default-told-only", "EXPORT-DEFAULT",
         "tells of the default export under the empty name, and does not let clients in under it",
         early(on_option(Option::go,
                         [](OptionRequest& option, Flow& flow) {
                             if (name_in(option).empty()) {
                                 answer(flow, option_reply(option.option, OptionReplyType::err_unknown));
                             }
                         }))},
        {"export-name-prefix", "EXPORT-UNKNOWN", "reads names up to the first NUL only",
         early(twist([](OptionRequest& option) {
             const std::string name = name_in(option);
             const auto nul = name.find('\0');
             if (enters_or_asks(option) && nul != std::string::npos) {
                 option = renamed(option, name.substr(0, nul));
             }
         }))},
        {"export-name-256", "HAGGLING-NO-HANG-UP", "closes the connection on a name of more than 256 bytes",
         early(twist([](OptionRequest& option, Flow& flow) {
             if (name_in(option).size() > longest_name) {
                 flow.hang_up();
             }
         }))},
        {"export-size-small", "EXPORT-SIZE", "tells 512 bytes less than the export has when it is entered",
         twist(
             [](OptionReply& reply) {
                 if (reply.option == Option::go && info_type(reply) == InfoType::export_) {
                     edit<nbd::InfoExport>(reply.payload, [](nbd::InfoExport& told) { told.size -= 512; });
                 }
             },
             [](ExportReply& reply) { reply.size -= 512; })},
        {"export-size-swapped", "NUMBERS-BIG-ENDIAN", "tells the size in the wrong order of bytes",
         on_export([](std::uint64_t& size, std::uint16_t& /*flags*/, const Conversation& /*told*/) {
             size = __builtin_bswap64(size);
         })},
        {"go-padding", "NO-PADDING", "sends 124 bytes of zeroes after NBD_OPT_GO has succeeded",
         on_option_reply(Option::go,
                         [](OptionReply& reply, Flow& flow) {
                             if (reply.type == OptionReplyType::ack) {
                                 flow.forward();
                                 flow.to_client(Raw{Side::server, nbd::Buffer(nbd::handshake_padding)});
                             }
                         })},
        {"go-extended-demanded", "INTEROP-COMPACT",
         "answers NBD_REP_ERR_EXT_HEADER_REQD to NBD_OPT_GO of clients without extended headers",
         on_option(Option::go,
                   [](OptionRequest& option, Flow& flow) {
                       if (!flow.told().extended) {
                           answer(flow, option_reply(option.option, OptionReplyType::err_ext_header_reqd));
                       }
                   })},
        {"info-hangs-up", "INFO-STAYS", "closes the connection once NBD_OPT_INFO has succeeded",
         on_option_reply(Option::info,
                         [](OptionReply& reply, Flow& flow) {
                             if (reply.type == OptionReplyType::ack) {
                                 flow.forward();
                                 flow.hang_up();
                             }
                         })},
        {"go-stays", "GO-ENTERS",
         "answers NBD_REP_ACK to NBD_OPT_GO, and takes the first request for an option that is wrong",
         twist([](Request& request, Flow& flow) {
             const bool gone = flow.told().option && flow.told().option->option == Option::go;
             if (gone && flow.told().requests == 1 && request.type != nbd::Command::disc) {
                 flow.hang_up();
             }
         })},
        {"go-answers-options", "GO-ENTERS", "goes on answering options once NBD_OPT_GO has succeeded",
         twist([](OptionRequest& option, Flow& flow) {
             if (flow.told().transmission) {
                 answer(flow, option_reply(option.option, OptionReplyType::ack));
             }
         })},
        {"go-hangs-up", "SERVER-NO-HANG-UP", "closes the connection once NBD_OPT_GO has succeeded",
         on_option_reply(Option::go,
                         [](OptionReply& reply, Flow& flow) {
                             if (reply.type == OptionReplyType::ack) {
                                 flow.forward();
                                 flow.hang_up();
                             }
                         })},
    };
}

Table transmission_flags() {
    return {
        {"flag-has-flags-clear", "HAS-FLAGS", "leaves NBD_FLAG_HAS_FLAGS clear", flags(0, flag::has_flags)},
        {"flag-read-only-on-writable", "READ-ONLY-REFUSED",
         "sets NBD_FLAG_READ_ONLY and takes writes all the same", flags(flag::read_only, 0)},
        {"read-only-pretended", "READ-ONLY-REFUSED",
         "answers requests that write to a read-only export with success and writes nothing",
         pretend([](const Request& request, const Conversation& told) {
             return (told.flags & flag::read_only) != 0 && changes_disk(request.type);
         })},
        {"flag-read-only-hidden", "FLAG-READ-ONLY", "does not tell that an export is read-only",
         flags(0, flag::read_only)},
        {"flag-flush-fua-hidden", "INTEROP-FLUSH-FUA", "offers neither NBD_CMD_FLUSH nor NBD_CMD_FLAG_FUA",
         both(flags(0, flag::send_flush | flag::send_fua),
              refuse(nbd::Error::inval,
                     [](const Request& request, const Conversation& /*told*/) {
                         return request.type == nbd::Command::flush ||
                                (request.flags & nbd::command_flag::fua) != 0;
                     }))},
        {"flag-df-without-structured", "FLAG-DF",
         "sets NBD_FLAG_SEND_DF although structured replies were not agreed",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& flags, const Conversation& told) {
             flags |= told.chunks() ? std::uint16_t{0} : flag::send_df;
         })},
        {"flag-df-hidden", "FLAG-DF-SET", "does not tell that it knows NBD_CMD_FLAG_DF",
         flags(0, flag::send_df)},
        {"flag-fast-zero-alone", "FLAG-FAST-ZERO",
         "sets NBD_FLAG_SEND_FAST_ZERO and leaves NBD_FLAG_SEND_WRITE_ZEROES clear",
         flags(flag::send_fast_zero, flag::send_write_zeroes)},
        {"flag-fast-zero-hidden", "FLAG-FAST-ZERO-SET", "does not tell that it knows NBD_CMD_FLAG_FAST_ZERO",
         flags(0, flag::send_fast_zero)},
        {"flag-status-payload", "FLAG-STATUS-PAYLOAD",
         "sets NBD_FLAG_BLOCK_STATUS_PAYLOAD although extended headers were not agreed",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& flags, const Conversation& told) {
             flags |= told.extended ? std::uint16_t{0} : flag::block_status_payload;
         })},
        {"flag-status-payload-no-contexts", "FLAG-STATUS-PAYLOAD-CONTEXTS",
         "sets NBD_FLAG_BLOCK_STATUS_PAYLOAD for a client that selected no metadata contexts",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& flags, const Conversation& told) {
             flags |= told.extended && told.contexts.empty() ? flag::block_status_payload : std::uint16_t{0};
         })},
        {"flush-unsupported", "FLAGS-TRUTHFUL", "sets NBD_FLAG_SEND_FLUSH and does not know NBD_CMD_FLUSH",
         refuse_sound(nbd::Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == nbd::Command::flush;
                      })},
        {"trim-unsupported", "FLAGS-TRUTHFUL", "sets NBD_FLAG_SEND_TRIM and does not know NBD_CMD_TRIM",
         refuse_sound(nbd::Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == nbd::Command::trim;
                      })},
        {"write-zeroes-unsupported", "FLAGS-TRUTHFUL",
         "sets NBD_FLAG_SEND_WRITE_ZEROES and does not know NBD_CMD_WRITE_ZEROES",
         refuse_sound(nbd::Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == nbd::Command::write_zeroes;
                      })},
    };
}

} // namespace

Table export_faults() {
    return joined({by_name, names, transmission_flags});
}

} // namespace faults
