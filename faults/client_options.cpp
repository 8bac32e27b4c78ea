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
