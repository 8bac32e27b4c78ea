// Faults of clients in the data of options, and in options that are sent where they have no place (Option
// types).

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <string>

namespace faults {
namespace {

using nbd::Option;

bool is_info(const OptionRequest& option) {
    return option.option == Option::info || option.option == Option::go;
}
bool is_meta(const OptionRequest& option) {
    return option.option == Option::list_meta_context || option.option == Option::set_meta_context;
}

/// Sends data with an option that has none.
Recipe data_with(Option wanted) {
    return twist([wanted](OptionRequest& option) {
        if (option.option == wanted) {
            option.payload = {1, 2, 3, 4};
        }
    });
}

/// Asks for the export by another name.
template <class Edit>
Recipe other_name(Edit edit) {
    return twist([edit](OptionRequest& option) {
        edit_info(option, [&](nbd::InfoRequest& data) { edit(data.export_name); });
    });
}

/// Adds to the number that stands at the end of the name, and tells how many entries follow.
void count_one_more(OptionRequest& option, std::size_t width) {
    const auto name = nbd::detail::load_big<std::uint32_t>(option.payload.data());
    ++option.payload[sizeof name + name + width - 1];
}

OptionRequest starttls(nbd::Buffer data = {}) {
    return {nbd::option_magic, Option::starttls, {}, std::move(data)};
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
                flow.to_server(starttls());
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

/// STARTTLS, and what comes of it.
template <class Answered>
Recipe with_starttls(Answered answered) {
    return twist_with(
        std::optional<OptionRequest>(),
        [](std::optional<OptionRequest>& held, OptionRequest& option, Flow& flow) {
            if (flow.told().options == 1) {
                held = option;
                flow.drop();
                flow.to_server(starttls());
            }
        },
        [answered](std::optional<OptionRequest>& held, OptionReply& reply, Flow& flow) {
            if (held) {
                flow.drop();
                answered(reply, *std::exchange(held, std::nullopt), flow);
            }
        });
}

/// Begins TLS although the server has refused it.
Recipe tls_after_refusal() {
    return with_starttls([](const OptionReply& reply, const OptionRequest& next, Flow& flow) {
        if (nbd::is_error(reply.type)) {
            // The header of a TLS record with the beginning of a handshake.
            flow.to_server(
                Raw{Side::client, {0x16, 3, 1, 0, 16, 1, 0, 0, 12, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}});
        }
        flow.to_server(next);
    });
}

/// Leaves a server that does not have TLS.
Recipe insists_on_tls() {
    return with_starttls([](const OptionReply& reply, const OptionRequest& next, Flow& flow) {
        if (!nbd::is_error(reply.type)) {
            return flow.to_server(next);
        }
        flow.to_server({OptionRequest{}});
        flow.hang_up();
    });
}

Recipe clear_text_after_starttls() {
    return with_starttls(
        [](const OptionReply& /*reply*/, const OptionRequest& next, Flow& flow) { flow.to_server(next); });
}

/// The option before the first one of the client by which it would be allowed.
Recipe meta_too_early(Option option) {
    return ask_before([option](const OptionRequest& /*next*/, const Conversation& told) {
        return std::optional(meta_option(option, told.export_name, {std::string(nbd::base_allocation)}));
    });
}

/// Selects nothing after it has selected something, and goes by what came first.
Recipe forgets_contexts() {
    return ask_before([](const OptionRequest& next, const Conversation& told) {
        return next.option == Option::go && !told.contexts.empty()
                   ? std::optional(meta_option(Option::set_meta_context, told.export_name, {}))
                   : std::nullopt;
    });
}

Recipe starttls_late() {
    return ask_before([](const OptionRequest& next, const Conversation& told) {
        return next.option == Option::go && told.options > 1 ? std::optional(starttls()) : std::nullopt;
    });
}

} // namespace

Table client_option_faults() {
    return {
        {"name-with-nul", "STRING-NO-NUL", "asks for an export whose name has a NUL in it",
         other_name([](std::string& name) { name.push_back('\0'); })},
        {"name-not-utf8", "STRING-UTF8", "asks for an export whose name is not UTF-8",
         other_name([](std::string& name) { name.push_back('\xff'); })},
        {"name-too-long", "STRING-LENGTH", "asks for an export whose name has 4097 bytes",
         other_name([](std::string& name) { name.assign(nbd::max_string + 1, 'x'); })},
        {"name-long", "STRING-SHORT", "asks for an export whose name has 257 bytes",
         other_name([](std::string& name) { name.assign(257, 'x'); })},
        {"abort-with-data", "ABORT-NO-DATA", "sends data with NBD_OPT_ABORT", data_with(Option::abort)},
        {"list-with-data", "LIST-NO-DATA", "sends data with NBD_OPT_LIST", data_with(Option::list)},
        {"structured-with-data", "STRUCTURED-NO-DATA", "sends data with NBD_OPT_STRUCTURED_REPLY",
         data_with(Option::structured_reply)},
        {"extended-with-data", "EXTENDED-NO-DATA", "sends data with NBD_OPT_EXTENDED_HEADERS",
         data_with(Option::extended_headers)},
        {"starttls-with-data", "STARTTLS-NO-DATA", "sends data with NBD_OPT_STARTTLS",
         ask_first(starttls({1, 2, 3, 4}))},
        {"starttls-not-fixed", "STARTTLS-FIXED",
         "sends NBD_OPT_STARTTLS without having set NBD_FLAG_C_FIXED_NEWSTYLE", starttls_unfixed()},
        {"starttls-late", "STARTTLS-FIRST", "asks for TLS after other options", starttls_late()},
        {"starttls-after-refusal", "STARTTLS-REFUSED", "begins TLS though the server has refused it",
         tls_after_refusal()},
        {"insist-on-tls", "BASELINE-NOTLS", "leaves a server that does not have TLS", insists_on_tls()},
        {"starttls-clear", "STARTTLS-NO-CLEAR", "goes on without TLS after NBD_OPT_STARTTLS was granted",
         clear_text_after_starttls()},
        {"go-counts-one-more", "INFO-LAYOUT", "announces one information request more than it sends",
         twist([](OptionRequest& option) {
             if (is_info(option)) {
                 count_one_more(option, sizeof(std::uint16_t));
             }
         })},
        {"go-byte-left-over", "INFO-LAYOUT", "sends a byte behind the list of information requests",
         twist([](OptionRequest& option) {
             if (is_info(option)) {
                 option.payload.push_back(0);
             }
         })},
        {"go-name-beyond-data", "INFO-LAYOUT", "announces a name that is longer than the data",
         twist([](OptionRequest& option) {
             if (is_info(option)) {
                 option.payload[2] = 1;
             }
         })},
        {"go-information-twice", "INFO-REQUESTS-ONCE", "asks for the same information twice",
         twist([](OptionRequest& option) {
             edit_info(option, [](nbd::InfoRequest& data) {
                 data.requests.push_back(data.requests.empty() ? nbd::InfoType::name : data.requests[0]);
                 data.requests.push_back(data.requests.back());
             });
         })},
        {"go-without-block-size", "BLOCK-SIZE-ASKED", "does not ask for NBD_INFO_BLOCK_SIZE",
         twist([](OptionRequest& option) {
             edit_info(option,
                       [](nbd::InfoRequest& data) { std::erase(data.requests, nbd::InfoType::block_size); });
         })},
        {"meta-counts-one-more", "META-LAYOUT", "announces one query more than it sends",
         twist([](OptionRequest& option) {
             if (is_meta(option)) {
                 count_one_more(option, sizeof(std::uint32_t));
             }
         })},
        {"meta-byte-left-over", "META-LAYOUT", "sends a byte behind the queries",
         twist([](OptionRequest& option) {
             if (is_meta(option)) {
                 option.payload.push_back(0);
             }
         })},
        {"meta-query-without-namespace", "META-QUERY-NAMESPACE", "asks for contexts without their namespace",
         twist([](OptionRequest& option) {
             edit_meta(option, [](nbd::MetaContextRequest& data) {
                 for (nbd::MetaContextQuery& query : data.queries) {
                     query.query.erase(0, query.query.find(':') + 1);
                 }
             });
         })},
        {"list-meta-unstructured", "LIST-META-STRUCTURED",
         "lists metadata contexts before structured replies are agreed",
         meta_too_early(Option::list_meta_context)},
        {"set-meta-unstructured", "SET-META-STRUCTURED",
         "selects metadata contexts before structured replies are agreed",
         meta_too_early(Option::set_meta_context)},
        {"contexts-forgotten", "SET-META-FINAL",
         "sends a last NBD_OPT_SET_META_CONTEXT without queries, and uses what it had selected before",
         forgets_contexts()},
    };
}

} // namespace faults
