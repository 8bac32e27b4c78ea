// A server with two exports, as an oddity, and faults of keeping them apart (NBD_OPT_INFO and NBD_OPT_GO,
// NBD_OPT_SET_META_CONTEXT). The second one is the first half of the disk, without metadata contexts.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <string_view>

namespace faults {

using nbd::Command;
using nbd::Option;
using nbd::OptionReplyType;

namespace {

constexpr std::string_view second_export = "half";

/// The server below knows one export, which it is to take the option for; of the second one no contexts are
/// selected.
OptionRequest about_the_first(const OptionRequest& option) {
    OptionRequest other = renamed(option, {});
    if (option.option == Option::set_meta_context || option.option == Option::list_meta_context) {
        edit<nbd::MetaContextRequest>(other.payload,
                                      [](nbd::MetaContextRequest& request) { request.queries.clear(); });
    }
    return other;
}

Recipe two_exports() {
    return early(twist_with(
        false, // the option under way, and then the session, is about the second export
        [](bool& second, OptionRequest& option) {
            second = name_in(option) == second_export;
            if (second) {
                option = about_the_first(option);
            }
        },
        [](bool& second, OptionReply& reply, Flow& flow) {
            if (second && info_type(reply) == nbd::InfoType::export_) {
                edit<nbd::InfoExport>(reply.payload, [](nbd::InfoExport& told) { told.size /= 2; });
            } else if (second && info_type(reply) == nbd::InfoType::name) {
                edit<nbd::InfoText>(reply.payload, [](nbd::InfoText& told) { told.text = second_export; });
            } else if (second && (reply.type == OptionReplyType::meta_context ||
                                  info_type(reply) == nbd::InfoType::description)) {
                flow.drop();
            } else if (reply.option == Option::list && reply.type == OptionReplyType::ack) {
                flow.to_client(option_reply(reply.option, OptionReplyType::server,
                                            nbd::encode(nbd::ServerReply{std::string(second_export), {}})));
            }
        },
        [](bool& second, ExportReply& reply) { reply.size /= second ? 2 : 1; },
        [](bool& second, Request& request, Flow& flow) {
            const std::uint64_t end = flow.told().size / 2;
            const bool beyond = request.offset > end || request.length > end - request.offset;
            if (second && beyond && request.type != Command::disc) {
                answer(flow, failure(flow.told(), request,
                                     changes_disk(request.type) ? nbd::Error::nospc : nbd::Error::inval));
            }
        }));
}

/// Every export has the size of the one that was asked about first.
Recipe first_size() {
    return twist_with(std::optional<std::uint64_t>{},
                      [](std::optional<std::uint64_t>& first, OptionReply& reply) {
                          if (info_type(reply) == nbd::InfoType::export_) {
                              edit<nbd::InfoExport>(reply.payload, [&](nbd::InfoExport& told) {
                                  first = first.value_or(told.size);
                                  told.size = *first;
                              });
                          }
                      });
}

} // namespace

Table two_export_faults() {
    return {
        {"info-size-of-first", "EXPORT-SIZE",
         "has two exports, and tells of both the size of the one that was asked about first",
         both(two_exports(), first_size())},
        {"set-meta-for-all", "STATUS-UNSELECTED",
         "selects metadata contexts for whatever export is entered, not for the one that is named",
         twist_with(false,
                    [](bool& selected, OptionRequest& option) {
                        selected = selected || option.option == Option::set_meta_context;
                        // To the server it is all one export, the default one.
                        if (selected) {
                            option = renamed(option, {});
                        }
                    })},
    };
}

Table two_export_oddities() {
    return {
        {"two-exports", "LIST-NAMES-EXPORTS", "has half of its disk as a second export, which is called half",
         two_exports()},
    };
}

} // namespace faults
