// Option types: what clients send while they haggle.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace wire {
namespace {

using nbd::Option;

/// An option that must come without data comes with some.
Wrong data_with(const OptionEvent& event, Option option) {
    return event.option.option == option && event.option.length > 0
               ? fmt::format("{} bytes of data came with {}", event.option.length, nbd::name(option))
               : Wrong();
}

/// The strings of an option that could be decoded.
template <class Use>
void for_each_string(const OpenOption& option, const Use& use) {
    if (option.export_name) {
        use(*option.export_name);
    }
    if (option.info) {
        use(option.info->export_name);
    }
    if (option.meta) {
        use(option.meta->export_name);
        for (const nbd::MetaContextQuery& query : option.meta->queries) {
            use(query.query);
        }
    }
}

/// What is wrong with the first string that `bad` is true of.
template <class Bad>
Wrong bad_string(const OpenOption& option, std::string_view what, const Bad& bad) {
    Wrong wrong;
    for_each_string(option, [&](const std::string& text) {
        if (wrong.empty() && bad(text)) {
            wrong = fmt::format("a string of {} bytes {}", text.size(), what);
        }
    });
    return wrong;
}

/// An option is sent again that has settled something already. NBD_OPT_SET_META_CONTEXT may be: it replaces
/// what was selected.
Wrong settled_already(const OptionEvent& event) {
    const Option option = event.option.option;
    const bool again = (option == Option::structured_reply && event.state.structured) ||
                       (option == Option::extended_headers && event.state.extended);
    return again ? fmt::format("{} has been granted before", nbd::name(option)) : Wrong();
}

/// Another message than an option to end the session follows NBD_REP_ERR_SHUTDOWN.
Wrong goes_on_after_shutdown(const OptionEvent& event) {
    return when(event.state.told_to_stop && event.option.option != Option::abort,
                "NBD_REP_ERR_SHUTDOWN was answered by another option than NBD_OPT_ABORT");
}

constexpr Rule<OptionEvent> rules[] = {
    {"OPTION-WAITS",
     [](const OptionEvent& event) {
         return event.state.option
                    ? fmt::format("{} is not answered yet", nbd::name(event.state.option->option))
                    : Wrong();
     }},
    {"OPTION-FIXED",
     [](const OptionEvent& event) {
         const bool fixed = (event.state.handshake_flags & nbd::handshake_flag::fixed_newstyle) != 0;
         return when(!fixed && event.option.option != Option::export_name,
                     "the server does not speak fixed newstyle");
     }},
    {"OPTION-ONCE", settled_already, recommended},
    {"STRING-NO-NUL",
     [](const OptionEvent& event) { return bad_string(event.option, "has a NUL in it", has_nul); }},
    {"STRING-UTF8",
     [](const OptionEvent& event) {
         return bad_string(event.option, "is no UTF-8",
                           [](const std::string& text) { return !is_utf8(text); });
     }},
    {"STRING-LENGTH",
     [](const OptionEvent& event) {
         return bad_string(event.option, "is longer than 4096",
                           [](const std::string& text) { return text.size() > nbd::max_string; });
     }},
    {"EXPORT-NAME-COMPACT",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::export_name && event.state.extended,
                     "extended headers are agreed");
     }},
    {"BLOCK-SIZE-GO",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::export_name && event.state.info_with_block_size,
                     "the client asked for block sizes by NBD_OPT_INFO, which the server knows");
     }},
    {"ABORT-NO-DATA", [](const OptionEvent& event) { return data_with(event, Option::abort); }, recommended},
    {"LIST-NO-DATA", [](const OptionEvent& event) { return data_with(event, Option::list); }},
    {"STARTTLS-NO-DATA", [](const OptionEvent& event) { return data_with(event, Option::starttls); }},
    {"STARTTLS-FIXED",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::starttls && !event.state.fixed(),
                     "fixed newstyle was not agreed");
     }},
    {"STARTTLS-FIRST",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::starttls && event.state.asked &&
                         !event.state.tls_demanded,
                     "another option came before NBD_OPT_STARTTLS");
     },
     recommended},
    {"STARTTLS-BEFORE-STATE",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::starttls && event.state.asked_for_state,
                     "options that change state came before NBD_OPT_STARTTLS");
     },
     recommended},
    {"INFO-LAYOUT",
     [](const OptionEvent& event) {
         return event.option.is_info() && event.malformed ? event.malformed->describe() : Wrong();
     }},
    {"INFO-REQUESTS-ONCE",
     [](const OptionEvent& event) {
         if (!event.option.info) {
             return Wrong();
         }
         const auto& requests = event.option.info->requests;
         const std::set<nbd::InfoType> distinct(requests.begin(), requests.end());
         return when(distinct.size() < requests.size(), "an information type is listed twice");
     }},
    {"STRUCTURED-NO-DATA",
     [](const OptionEvent& event) { return data_with(event, Option::structured_reply); }},
    {"EXTENDED-NO-DATA", [](const OptionEvent& event) { return data_with(event, Option::extended_headers); }},
    {"META-LAYOUT",
     [](const OptionEvent& event) {
         return event.option.is_meta() && event.malformed ? event.malformed->describe() : Wrong();
     }},
    {"META-QUERY-NAMESPACE",
     [](const OptionEvent& event) {
         if (!event.option.meta) {
             return Wrong();
         }
         const auto& queries = event.option.meta->queries;
         return when(!std::ranges::all_of(queries, has_namespace, &nbd::MetaContextQuery::query),
                     "a query does not begin with a namespace and a colon");
     }},
    {"LIST-META-STRUCTURED",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::list_meta_context && !event.state.chunks(),
                     "neither structured replies nor extended headers are agreed");
     },
     recommended},
    {"SET-META-STRUCTURED",
     [](const OptionEvent& event) {
         return when(event.option.option == Option::set_meta_context && !event.state.chunks(),
                     "neither structured replies nor extended headers are agreed");
     }},
    {"SHUTDOWN-ABORT", goes_on_after_shutdown},
};

} // namespace

std::span<const Rule<OptionEvent>> option_rules() {
    return rules;
}

} // namespace wire
