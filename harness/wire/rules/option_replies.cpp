// Option reply types: what servers answer to options.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace wire {
namespace {

using nbd::InfoType;
using nbd::Option;
using Type = nbd::OptionReplyType;

constexpr std::uint32_t largest_minimum_block = 64U * 1024;
constexpr std::uint32_t smallest_preferred_block = 512;
constexpr std::uint32_t recommended_payload = 1U << 20;

/// A reply of this type answers an option that it does not belong to.
Wrong misplaced(const OptionReplyEvent& event, Type type, bool belongs) {
    return event.state.option && event.reply.type == type && !belongs
               ? fmt::format("{} answers {}", nbd::name(type), nbd::name(event.state.option->option))
               : Wrong();
}

/// Something else than these replies or an error answers this option.
Wrong other_reply(const OptionReplyEvent& event, Option option, std::initializer_list<Type> allowed) {
    return event.to(option) && !event.is_error() &&
                   std::ranges::find(allowed, event.reply.type) == allowed.end()
               ? fmt::format("{} answers {}", nbd::name(event.reply.type), nbd::name(option))
               : Wrong();
}

/// True if a successful end of the option is at hand.
bool acknowledges(const OptionReplyEvent& event, Option option) {
    return event.to(option) && event.reply.type == Type::ack;
}

bool ends_info(const OptionReplyEvent& event) {
    return event.state.option && event.state.option->is_info() && event.reply.type == Type::ack;
}

/// Every query of the option is about the namespace base.
bool only_base(const OpenOption& option) {
    return option.meta && !option.meta->queries.empty() &&
           std::ranges::all_of(option.meta->queries, [](const nbd::MetaContextQuery& query) {
               return query.query.starts_with("base:");
           });
}

/// What has to be true of strings (Conventions).
bool is_string(std::string_view text) {
    return text.size() <= nbd::max_string && !has_nul(text) && is_utf8(text);
}

/// The namespace of a metadata context, if its name has one.
std::optional<std::string_view> namespace_of(const OptionReplyEvent& event) {
    if (!event.context) {
        return std::nullopt;
    }
    const std::string_view name = event.context->context;
    const std::size_t colon = name.find(':');
    return colon == std::string_view::npos ? std::nullopt : std::optional(name.substr(0, colon));
}

/// The strings of a reply that could be decoded.
template <class Bad>
Wrong bad_string(const OptionReplyEvent& event, std::string_view what, const Bad& bad) {
    const auto check = [&](std::string_view text) {
        return bad(text) ? fmt::format("a string of {} bytes {}", text.size(), what) : Wrong();
    };
    if (event.server) {
        const Wrong name = check(event.server->export_name);
        return name.empty() ? check(event.server->description) : name;
    }
    if (event.context) {
        return check(event.context->context);
    }
    if (event.text) {
        return check(event.text->text);
    }
    if (event.is_error()) {
        return check({reinterpret_cast<const char*>(event.data.data()), event.data.size()});
    }
    return {};
}

/// Two answers about the same export that have to agree do not.
Wrong differs(const OpenOption& first, const OpenOption& second) {
    // Only what both times came is compared: what a server leaves out is seen by the types.
    auto types = [](const OpenOption& option) {
        std::vector<InfoType> sorted = option.told;
        std::ranges::sort(sorted);
        return sorted;
    };
    if (types(first) != types(second)) {
        return "other information came than for NBD_OPT_INFO";
    }
    if (first.export_info && second.export_info &&
        first.export_info->transmission_flags != second.export_info->transmission_flags) {
        return fmt::format("the transmission flags are {}, they were {}",
                           nbd::transmission_flag_names(second.export_info->transmission_flags),
                           nbd::transmission_flag_names(first.export_info->transmission_flags));
    }
    return when(first.block != second.block, "the block sizes are others than those of NBD_OPT_INFO");
}

constexpr Rule<OptionReplyEvent> rules[] = {
    {"OPTION-REPLY-ASKED",
     [](const OptionReplyEvent& event) { return when(!event.state.option, "no option is under way"); }},
    {"OPTION-REPLY-ECHO",
     [](const OptionReplyEvent& event) {
         return event.state.option && event.state.option->option != event.reply.option
                    ? fmt::format("the option under way is {}", nbd::name(event.state.option->option))
                    : Wrong();
     }},
    {"CLIENT-FLAGS-DROPPED",
     [](const OptionReplyEvent& event) {
         const std::uint32_t offered = event.state.handshake_flags;
         return unknown_bits("the server goes on, although of the client flags that it did not offer",
                             event.state.client_flags, offered);
     }},
    {"ACK-NO-DATA",
     [](const OptionReplyEvent& event) {
         return event.reply.type == Type::ack && event.reply.length > 0
                    ? fmt::format("{} bytes of data came with NBD_REP_ACK", event.reply.length)
                    : Wrong();
     }},
    {"STRING-NO-NUL",
     [](const OptionReplyEvent& event) { return bad_string(event, "has a NUL in it", has_nul); }},
    {"STRING-UTF8",
     [](const OptionReplyEvent& event) {
         return bad_string(event, "is no UTF-8", [](std::string_view text) { return !is_utf8(text); });
     }},
    {"STRING-LENGTH",
     [](const OptionReplyEvent& event) {
         return bad_string(event, "is longer than 4096",
                           [](std::string_view text) { return text.size() > nbd::max_string; });
     }},
    {"BASELINE-INFO-GO",
     [](const OptionReplyEvent& event) {
         return when((event.to(Option::info) || event.to(Option::go)) && event.reply.type == Type::err_unsup,
                     "NBD_OPT_INFO and NBD_OPT_GO have to be implemented");
     }},
    {"BASELINE-LIST",
     [](const OptionReplyEvent& event) {
         return when(event.to(Option::list) && event.reply.type == Type::err_unsup,
                     "NBD_OPT_LIST has to be implemented");
     }},
    {"ABORT-ACK",
     [](const OptionReplyEvent& event) {
         // The text is of two minds about servers that insist on TLS.
         return event.to(Option::abort) && event.reply.type != Type::ack &&
                        event.reply.type != Type::err_tls_reqd
                    ? fmt::format("it was answered by {}", nbd::name(event.reply.type))
                    : Wrong();
     }},
    {"LIST-REPLIES",
     [](const OptionReplyEvent& event) {
         return other_reply(event, Option::list, {Type::server, Type::ack});
     }},
    {"SERVER-REPLY-LAYOUT",
     [](const OptionReplyEvent& event) {
         return event.reply.type == Type::server && event.malformed ? event.malformed->describe() : Wrong();
     }},
    {"SERVER-REPLY-DETAILS",
     [](const OptionReplyEvent& event) {
         return when(event.server && !is_string(event.server->description),
                     "what follows the name is no string as the specification has them");
     }},
    {"SHUTDOWN-OPTIONS",
     [](const OptionReplyEvent& event) {
         return when(event.state.told_to_stop && event.state.option && !event.to(Option::abort) &&
                         event.reply.type != Type::err_shutdown,
                     "the server has said that it is being shut down");
     },
     recommended},
    {"SERVER-REPLY-PLACE",
     [](const OptionReplyEvent& event) { return misplaced(event, Type::server, event.to(Option::list)); }},
    {"STARTTLS-REPLIES",
     [](const OptionReplyEvent& event) { return other_reply(event, Option::starttls, {Type::ack}); }},
    {"NOTLS-NO-DEMAND",
     [](const OptionReplyEvent& event) {
         return when(event.state.tls_refused && event.reply.type == Type::err_tls_reqd,
                     "the server demands TLS, but does not offer it");
     }},
    {"INFO-REPLIES",
     [](const OptionReplyEvent& event) {
         const Wrong info = other_reply(event, Option::info, {Type::info, Type::ack});
         return info.empty() ? other_reply(event, Option::go, {Type::info, Type::ack}) : info;
     }},
    {"INFO-REPLY-PLACE",
     [](const OptionReplyEvent& event) {
         return misplaced(event, Type::info, event.to(Option::info) || event.to(Option::go));
     }},
    {"INFO-EXPORT-SENT",
     [](const OptionReplyEvent& event) {
         return when(ends_info(event) && !event.state.option->export_info, "NBD_INFO_EXPORT did not come");
     }},
    {"INFO-EXPORT-LENGTH",
     [](const OptionReplyEvent& event) {
         return event.info == InfoType::export_ && event.malformed
                    ? fmt::format("{} bytes came", event.reply.length)
                    : Wrong();
     }},
    {"INFO-BLOCK-SIZE-LENGTH",
     [](const OptionReplyEvent& event) {
         return event.info == InfoType::block_size && event.malformed
                    ? fmt::format("{} bytes came", event.reply.length)
                    : Wrong();
     }},
    {"INFO-LENGTH",
     [](const OptionReplyEvent& event) {
         return event.reply.type == Type::info && event.reply.length < sizeof(std::uint16_t)
                    ? fmt::format("{} bytes came", event.reply.length)
                    : Wrong();
     }},
    {"INFO-ONCE",
     [](const OptionReplyEvent& event) {
         return when(event.info && event.state.option &&
                         std::ranges::find(event.state.option->told, *event.info) !=
                             event.state.option->told.end(),
                     "the same information came before");
     },
     recommended},
    {"BLOCK-SIZE-MINIMUM",
     [](const OptionReplyEvent& event) {
         return event.block && (!std::has_single_bit(event.block->minimum) ||
                                event.block->minimum > largest_minimum_block)
                    ? fmt::format("the minimum is {}", event.block->minimum)
                    : Wrong();
     }},
    {"BLOCK-SIZE-PREFERRED",
     [](const OptionReplyEvent& event) {
         return event.block &&
                        (!std::has_single_bit(event.block->preferred) ||
                         event.block->preferred < std::max(event.block->minimum, smallest_preferred_block))
                    ? fmt::format("the preferred size is {}, the minimum {}", event.block->preferred,
                                  event.block->minimum)
                    : Wrong();
     }},
    {"BLOCK-SIZE-PAYLOAD",
     [](const OptionReplyEvent& event) {
         return event.block && event.block->maximum < event.block->preferred
                    ? fmt::format("the maximum payload is {}, the preferred size {}", event.block->maximum,
                                  event.block->preferred)
                    : Wrong();
     }},
    {"BLOCK-SIZE-PAYLOAD-1M",
     [](const OptionReplyEvent& event) {
         const OpenOption* option = event.state.option ? &*event.state.option : nullptr;
         return ends_info(event) && option->block && option->export_info &&
                        option->block->maximum < recommended_payload &&
                        option->export_info->size >= recommended_payload
                    ? fmt::format("the maximum payload is {}, the export has {} bytes",
                                  option->block->maximum, option->export_info->size)
                    : Wrong();
     },
     recommended},
    {"SIZE-OF-BLOCKS",
     [](const OptionReplyEvent& event) {
         const OpenOption* option = event.state.option ? &*event.state.option : nullptr;
         return ends_info(event) && option->block && option->export_info && option->block->minimum > 1 &&
                        option->export_info->size % option->block->minimum != 0
                    ? fmt::format("the export has {} bytes, the minimum block size is {}",
                                  option->export_info->size, option->block->minimum)
                    : Wrong();
     },
     recommended},
    {"UNKNOWN-NO-INFO",
     [](const OptionReplyEvent& event) {
         return when(event.reply.type == Type::err_unknown && event.state.option &&
                         !event.state.option->told.empty(),
                     "NBD_REP_INFO came before");
     },
     recommended},
    {"BLOCK-SIZE-REQD-ASKED",
     [](const OptionReplyEvent& event) {
         return when(event.reply.type == Type::err_block_size_reqd && event.state.option &&
                         event.state.option->asked(InfoType::block_size),
                     "the client listed NBD_INFO_BLOCK_SIZE");
     }},
    {"BLOCK-SIZE-REQD-TELLS",
     [](const OptionReplyEvent& event) {
         return when(event.reply.type == Type::err_block_size_reqd && event.state.option &&
                         !event.state.option->block,
                     "NBD_INFO_BLOCK_SIZE did not come before");
     },
     recommended},
    {"INFO-GO-AGREE",
     [](const OptionReplyEvent& event) {
         return acknowledges(event, Option::go) && event.state.last_info &&
                        event.state.last_info->info == event.state.option->info
                    ? differs(*event.state.last_info, *event.state.option)
                    : Wrong();
     }},
    {"EXTENDED-GO",
     [](const OptionReplyEvent& event) {
         return when(event.to(Option::go) && event.state.extended && event.reply.type == Type::err_unsup,
                     "extended headers were agreed");
     }},
    {"STRUCTURED-REPLIES",
     [](const OptionReplyEvent& event) { return other_reply(event, Option::structured_reply, {Type::ack}); }},
    {"EXTENDED-REPLIES",
     [](const OptionReplyEvent& event) { return other_reply(event, Option::extended_headers, {Type::ack}); }},
    {"META-REPLIES",
     [](const OptionReplyEvent& event) {
         const auto allowed = {Type::meta_context, Type::ack};
         const Wrong list = other_reply(event, Option::list_meta_context, allowed);
         return list.empty() ? other_reply(event, Option::set_meta_context, allowed) : list;
     }},
    {"META-REPLY-PLACE",
     [](const OptionReplyEvent& event) {
         return misplaced(event, Type::meta_context,
                          event.to(Option::list_meta_context) || event.to(Option::set_meta_context));
     }},
    {"META-CONTEXT-NAMESPACE",
     [](const OptionReplyEvent& event) {
         return when(event.context && !has_namespace(event.context->context),
                     "the context's name does not begin with a namespace and a colon");
     }},
    {"META-NAMESPACE-CHARACTERS",
     [](const OptionReplyEvent& event) {
         const auto name = namespace_of(event);
         const bool good = !name || (!name->empty() && std::ranges::none_of(*name, [](char c) {
             return static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
         }));
         return when(!good, "the context's namespace is empty, or has characters that are not printable");
     }},
    {"META-NAMESPACE-KNOWN",
     [](const OptionReplyEvent& event) {
         const auto name = namespace_of(event);
         const bool known = !name || name->empty() || *name == "base" || *name == "nbd-server" ||
                            *name == "qemu" || name->starts_with("x-");
         return known ? Wrong() : fmt::format("nobody has registered the namespace '{}'", *name);
     }},
    {"META-NAME-STRING",
     [](const OptionReplyEvent& event) {
         return when(event.context && !is_string(event.context->context),
                     "the context's name is no string as the specification has them");
     }},
    {"LIST-META-ID",
     [](const OptionReplyEvent& event) {
         return event.to(Option::list_meta_context) && event.context && event.context->id != 0
                    ? fmt::format("the id is {}", event.context->id)
                    : Wrong();
     },
     recommended},
    {"SET-META-UNIQUE",
     [](const OptionReplyEvent& event) {
         return event.to(Option::set_meta_context) && event.context &&
                        event.state.option->contexts.contains(event.context->id)
                    ? fmt::format("two contexts have the id {}", event.context->id)
                    : Wrong();
     }},
    {"SET-META-NONE",
     [](const OptionReplyEvent& event) {
         return when(acknowledges(event, Option::set_meta_context) && event.state.option->meta &&
                         event.state.option->meta->queries.empty() && event.state.option->context_replies > 0,
                     "contexts were selected, but no query was sent");
     }},
    {"SET-META-WILDCARD",
     [](const OptionReplyEvent& event) {
         return when(acknowledges(event, Option::set_meta_context) && event.state.option->meta &&
                         !event.state.option->meta->queries.empty() &&
                         std::ranges::all_of(
                             event.state.option->meta->queries,
                             [](const nbd::MetaContextQuery& query) { return query.query == "base:"; }) &&
                         event.state.option->context_replies > 0,
                     "the query 'base:' selected contexts");
     }},
    {"SET-META-REFUSED",
     [](const OptionReplyEvent& event) {
         return when(acknowledges(event, Option::set_meta_context) && !event.state.chunks(),
                     "neither structured replies nor extended headers are agreed, but it succeeded");
     },
     recommended},
    {"META-BASE-COMPACT",
     [](const OptionReplyEvent& event) {
         return when(event.state.option && event.state.option->is_meta() &&
                         event.reply.type == Type::err_ext_header_reqd && event.state.chunks() &&
                         only_base(*event.state.option),
                     "contexts of the namespace base need no extended headers");
     }},
};

} // namespace

std::span<const Rule<OptionReplyEvent>> option_reply_rules() {
    return rules;
}

} // namespace wire
