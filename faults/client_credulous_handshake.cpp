// Faults of clients that accept what is wrong in the handshake. They mend what the server sends before the
// client sees it. That a client looks at a magic number, or at the length of an information, is nowhere said
// in so many words; what it cannot understand it cannot go by, though.

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>

namespace faults {
namespace {

using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

/// What is made up where a server does not tell it.
constexpr std::uint64_t assumed_size = 1048576;
constexpr std::uint16_t assumed_flags = nbd::transmission_flag::has_flags;

bool is_info(Option option) {
    return option == Option::info || option == Option::go;
}
/// The type of an information; nothing if it is none.
std::optional<InfoType> info_type(const OptionReply& reply) {
    if (reply.type != OptionReplyType::info || reply.payload.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        return std::nullopt;
    }
    return nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type;
}

/// Puts the magic number in the place of the one that came.
Recipe any_option_reply_magic() {
    return twist([](Raw& raw, Flow& flow) {
        if (raw.from != Side::server || flow.told().transmission || flow.told().tls) {
            return;
        }
        nbd::Buffer mended = raw.bytes;
        for (std::size_t i = 0; i < std::min(mended.size(), sizeof nbd::option_reply_magic); ++i) {
            mended[i] = static_cast<std::uint8_t>(nbd::option_reply_magic >> (56 - 8 * i));
        }
        if (mended != raw.bytes) {
            flow.read_as(std::move(mended));
        }
    });
}

Recipe export_untold() {
    return twist_with(
        false, [](bool& told, OptionRequest& /*option*/) { told = false; },
        [](bool& told, OptionReply& reply, Flow& flow) {
            told = told || info_type(reply) == InfoType::export_;
            if (is_info(reply.option) && reply.type == OptionReplyType::ack && !told) {
                const nbd::Buffer made_up =
                    nbd::encode(nbd::InfoExport{InfoType::export_, assumed_size, assumed_flags});
                flow.to_client(option_reply(reply.option, OptionReplyType::info, made_up));
            }
        });
}

/// Gives an information the length that it should have.
Recipe any_length_of(InfoType type, std::size_t length) {
    return twist([type, length](OptionReply& reply) {
        if (info_type(reply) == type) {
            reply.payload.resize(length);
        }
    });
}

Recipe name_beyond_reply() {
    return twist([](OptionReply& reply) {
        if (reply.type != OptionReplyType::server || payload_as<nbd::ServerReply>(reply.payload)) {
            return;
        }
        reply.payload.resize(std::max(reply.payload.size(), sizeof(std::uint32_t)));
        const auto rest = static_cast<std::uint32_t>(reply.payload.size() - sizeof(std::uint32_t));
        nbd::detail::store_big(reply.payload.data(), rest);
    });
}

/// Takes an error for NBD_REP_ACK.
Recipe error_as_success(Option option) {
    return twist([option](OptionReply& reply) {
        if (reply.option == option && nbd::is_error(reply.type)) {
            reply.type = OptionReplyType::ack;
            reply.payload.clear();
        }
    });
}

Recipe go_error_as_success() {
    return twist([](OptionReply& reply, Flow& flow) {
        if (reply.option == Option::go && nbd::is_error(reply.type)) {
            flow.drop();
            tell_export(flow, assumed_size, assumed_flags);
        }
    });
}

/// The end of the connection stands for the answer to NBD_OPT_EXPORT_NAME.
Recipe end_as_export() {
    return twist([](Ended ended, Flow& flow) {
        if (ended.who == Side::server && flow.told().awaits_export_reply) {
            const std::size_t padding = flow.told().no_zeroes ? 0 : nbd::handshake_padding;
            flow.to_client(ExportReply{assumed_size, assumed_flags, nbd::Buffer(padding)});
        }
    });
}

} // namespace

Table client_credulous_handshake_faults() {
    return {
        {"accept-greeting-magic", "GREETING-MAGIC", "takes any greeting for one of NBD",
         twist([](Greeting& greeting) { greeting.magic = nbd::init_magic; })},
        {"accept-greeting-style", "GREETING-STYLE",
         "takes a style of greeting that it does not know for newstyle", twist([](Greeting& greeting) {
             if (!greeting.oldstyle) {
                 greeting.style = nbd::option_magic;
             }
         })},
        {"accept-option-reply-magic", "OPTION-REPLY-MAGIC", "takes replies to options with any magic number",
         any_option_reply_magic()},
        {"accept-option-reply-echo", "OPTION-REPLY-ECHO",
         "takes the reply to another option for that to its own", twist([](OptionReply& reply, Flow& flow) {
             if (flow.told().option) {
                 reply.option = flow.told().option->option;
             }
         })},
        {"accept-no-export-info", "INFO-EXPORT-SENT",
         "takes an export that it is told nothing of for one of 1 MiB", export_untold()},
        {"accept-export-info-length", "INFO-EXPORT-LENGTH", "takes NBD_INFO_EXPORT of any length",
         any_length_of(InfoType::export_, nbd::wire_size<nbd::InfoExport>)},
        {"accept-name-beyond-reply", "SERVER-REPLY-LAYOUT",
         "takes export names that are longer than the reply for what is there", name_beyond_reply()},
        {"accept-structured-error", "STRUCTURED-FALLBACK",
         "takes an error for the consent to structured replies", error_as_success(Option::structured_reply)},
        {"accept-extended-error", "EXTENDED-UNSUPPORTED",
         "takes an error for the consent to extended headers", error_as_success(Option::extended_headers)},
        {"accept-contexts-of-error", "META-ERROR-DISREGARDED",
         "uses metadata contexts that came before an error", error_as_success(Option::set_meta_context)},
        {"accept-go-error", "ENTERED-BEFORE-REQUESTS", "sends requests though NBD_OPT_GO has failed",
         go_error_as_success()},
        {"accept-end-as-export", "HARD-END-SERVER",
         "takes the end of the connection after NBD_OPT_EXPORT_NAME for an export of 1 MiB", end_as_export()},
    };
}

} // namespace faults
