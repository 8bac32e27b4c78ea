#include "harness/wire/tests/rule_cases.hpp"

namespace wire {
namespace {

using C = Conversation;
using nbd::InfoType;
using nbd::Option;
using Type = nbd::OptionReplyType;
namespace has = nbd::transmission_flag;

constexpr Side server = Side::server;
constexpr Side client = Side::client;

const nbd::Buffer some_data{1, 2, 3};

nbd::Buffer bytes_of(std::uint64_t word, std::size_t zeroes = 0) {
    nbd::Buffer bytes(sizeof word);
    nbd::detail::store_big(bytes.data(), word);
    bytes.resize(bytes.size() + zeroes);
    return bytes;
}

nbd::Buffer text(const std::string& text) {
    return {text.begin(), text.end()};
}

nbd::Buffer export_entry(const std::string& name, const std::string& description = "") {
    return nbd::encode(nbd::ServerReply{name, description});
}

constexpr nbd::InfoExport export_info(std::uint64_t size = 1U << 20, std::uint16_t flags = has::has_flags) {
    return {InfoType::export_, size, flags};
}

constexpr nbd::InfoBlockSize blocks(std::uint32_t minimum, std::uint32_t preferred, std::uint32_t maximum) {
    return {InfoType::block_size, minimum, preferred, maximum};
}

/// NBD_OPT_EXPORT_NAME and its answer.
void enter_by_name(C& c, std::uint16_t flags = has::has_flags, const nbd::Buffer& padding = {}) {
    c.option(Option::export_name, text("disk"));
    c.from_server(nbd::ExportNameReply{1U << 20, flags}).server(padding);
}

void oldstyle(C& c, std::uint16_t handshake_flags, std::uint8_t padding) {
    c.from_server(nbd::OldstyleGreeting{1U << 20, handshake_flags, has::has_flags});
    c.server(nbd::Buffer(nbd::handshake_padding, padding));
}

void usual(C& c) {
    c.simple().leave();
}

void aborted(C& c) {
    c.hello().agree(Option::abort).client_ends().server_ends();
}

/// NBD_OPT_INFO with this answer, and an orderly end.
void info_answered(C& c, const nbd::InfoExport& info, const nbd::InfoBlockSize& block) {
    c.hello().option(Option::info, C::ask({InfoType::block_size}));
    c.info(Option::info, info).info(Option::info, block).ack(Option::info);
}

void structured(C& c) {
    c.hello().agree(Option::structured_reply);
}

void contexts_selected(C& c) {
    structured(c);
    c.option(Option::set_meta_context, C::queries({"base:allocation"}));
    c.context(Option::set_meta_context, 1, "base:allocation").ack(Option::set_meta_context);
}

/// NBD_OPT_LIST_META_CONTEXT that finds one context of this name.
void one_listed(C& c, const std::string& name) {
    structured(c);
    c.option(Option::list_meta_context, C::queries({}));
    c.context(Option::list_meta_context, 0, name).ack(Option::list_meta_context);
}

/// NBD_OPT_LIST that finds one export with this description.
void described(C& c, const std::string& description) {
    c.hello().option(Option::list).reply(Option::list, Type::server, export_entry("disk", description));
    c.ack(Option::list);
}

void listed(C& c) {
    c.hello().option(Option::list).reply(Option::list, Type::server, export_entry("disk"));
    c.ack(Option::list);
}

} // namespace

std::vector<RuleCase> handshake_cases() {
    return {
        {"GREETING-MAGIC", server, usual, [](C& c) { c.server(bytes_of(0x4e42444d41474944, 10)); }},
        {"GREETING-STYLE", server, [](C& c) { oldstyle(c, 0, 0); },
         [](C& c) { c.server(bytes_of(nbd::init_magic)).server(bytes_of(0x49484156454f5055)); }},
        {"HANDSHAKE-FLAGS-KNOWN", server, usual, [](C& c) { c.greeting(7); }},
        {"OLDSTYLE-FLAGS-CLEAR", server, [](C& c) { oldstyle(c, 0, 0); }, [](C& c) { oldstyle(c, 1, 0); }},
        {"OLDSTYLE-ZEROES", server, [](C& c) { oldstyle(c, 0, 0); }, [](C& c) { oldstyle(c, 0, 9); }},
        {"CLIENT-FLAGS-KNOWN", client, usual, [](C& c) { c.greeting().client_flags(7); }},
        {"CLIENT-FLAGS-OFFERED", client, [](C& c) { c.greeting(1).client_flags(1); },
         [](C& c) { c.greeting(1).client_flags(3); }},
        {"CLIENT-FLAGS-DROPPED", server,
         [](C& c) { c.greeting(3).client_flags(1).agree(Option::structured_reply); },
         [](C& c) { c.greeting(1).client_flags(3).agree(Option::structured_reply); }},
        {"OPTION-MAGIC", client, usual, [](C& c) { c.hello().client(bytes_of(0x49484156454f5055, 8)); }},
        {"OPTION-REPLY-MAGIC", server, usual,
         [](C& c) { c.hello().option(Option::list).server(bytes_of(0x3e889045565a8, 12)); }},
        {"EXPORT-NAME-NO-ERROR", server,
         [](C& c) { c.hello().option(Option::export_name, text("no")).server_ends().client_ends(); },
         [](C& c) {
             c.hello().option(Option::export_name, text("no"));
             c.reply(Option::export_name, Type::err_unknown);
         }},
        {"GO-ENDS-OPTIONS", client, usual, [](C& c) { c.simple().option(Option::list, nbd::Buffer(12)); }},
        {"ENTERED-BEFORE-REQUESTS", client, usual,
         [](C& c) { c.hello().option(Option::go, C::ask()).request(nbd::Command::read, 0, 512); }},
        {"ABORT-ENDS", client, aborted, [](C& c) { c.hello().agree(Option::abort).option(Option::list); }},
        {"NO-PADDING", server,
         [](C& c) {
             c.hello();
             enter_by_name(c);
         },
         [](C& c) {
             c.hello();
             enter_by_name(c, has::has_flags, nbd::Buffer(nbd::handshake_padding));
         }},

        // ---- options
        {"OPTION-WAITS", client, listed, [](C& c) { c.hello().option(Option::list).option(Option::list); }},
        {"OPTION-FIXED", client,
         [](C& c) {
             c.greeting(2).client_flags(2);
             enter_by_name(c);
         },
         [](C& c) { c.greeting(2).client_flags(2).option(Option::list); }},
        {"STRING-NO-NUL", client, usual,
         [](C& c) { c.hello().option(Option::go, C::ask({}, std::string("a\0b", 3))); }},
        {"STRING-NO-NUL", server, listed,
         [](C& c) {
             c.hello().option(Option::list);
             c.reply(Option::list, Type::server, export_entry(std::string("a\0b", 3)));
         }},
        {"STRING-UTF8", client, [](C& c) { c.hello().option(Option::export_name, text("pl\xc3\xa4tte")); },
         [](C& c) { c.hello().option(Option::export_name, text("pl\xe4tte")); }},
        {"STRING-UTF8", server, listed,
         [](C& c) {
             c.hello().option(Option::list);
             c.reply(Option::list, Type::err_policy, text("nicht f\xfcr dich"));
         }},
        {"STRING-LENGTH", client,
         [](C& c) { c.hello().option(Option::info, C::ask({}, std::string(4096, 'x'))); },
         [](C& c) { c.hello().option(Option::info, C::ask({}, std::string(4097, 'x'))); }},
        {"STRING-LENGTH", server, listed,
         [](C& c) {
             c.hello().option(Option::list);
             c.reply(Option::list, Type::err_policy, nbd::Buffer(4097, 'x'));
         }},
        {"EXPORT-NAME-COMPACT", client, [](C& c) { c.extended().leave(); },
         [](C& c) { c.hello().agree(Option::extended_headers).option(Option::export_name, text("disk")); }},
        {"BLOCK-SIZE-GO", client, [](C& c) { info_answered(c, export_info(), blocks(1, 4096, 1U << 25)); },
         [](C& c) {
             info_answered(c, export_info(), blocks(1, 4096, 1U << 25));
             c.option(Option::export_name, text("disk"));
         }},
        {"ABORT-NO-DATA", client, aborted, [](C& c) { c.hello().option(Option::abort, some_data); }},
        {"LIST-NO-DATA", client, listed, [](C& c) { c.hello().option(Option::list, some_data); }},
        {"STARTTLS-NO-DATA", client, [](C& c) { c.hello().option(Option::starttls); },
         [](C& c) { c.hello().option(Option::starttls, some_data); }},
        {"STARTTLS-FIXED", client, [](C& c) { c.hello().option(Option::starttls); },
         [](C& c) { c.greeting(3).client_flags(2).option(Option::starttls); }},
        {"STARTTLS-FIRST", client, [](C& c) { c.hello().option(Option::starttls); },
         [](C& c) { c.hello().option(Option::list).ack(Option::list).option(Option::starttls); }},
        {"STARTTLS-FIRST", client,
         [](C& c) {
             c.hello().option(Option::info, C::ask()).reply(Option::info, Type::err_tls_reqd);
             c.option(Option::starttls);
         },
         [](C& c) {
             c.hello().option(Option::info, C::ask()).reply(Option::info, Type::err_unknown);
             c.option(Option::starttls);
         }},
        {"OPTION-ONCE", client,
         [](C& c) {
             c.hello().option(Option::structured_reply).reply(Option::structured_reply, Type::err_policy);
             c.agree(Option::structured_reply);
         },
         [](C& c) { c.hello().agree(Option::structured_reply).option(Option::structured_reply); }},
        {"STARTTLS-BEFORE-STATE", client,
         [](C& c) {
             c.hello().option(Option::starttls).reply(Option::starttls, Type::err_unsup);
             c.agree(Option::structured_reply);
         },
         [](C& c) { c.hello().agree(Option::structured_reply).option(Option::starttls); }},
        // What is right over TLS is in tls_test.cpp: the judge says there that it looks no further.
        {"STARTTLS-NO-CLEAR", client, usual,
         [](C& c) { c.hello().agree(Option::starttls).option(Option::list); }},
        {"STARTTLS-NO-CLEAR", server, usual,
         [](C& c) { c.hello().agree(Option::starttls).ack(Option::starttls); }},
        {"STARTTLS-UPGRADE", client, usual,
         [](C& c) {
             c.hello().agree(Option::starttls).client({0x17, 3, 3, 0, 1, 0});
         }},
        {"TLS-FAILED-CLIENT", client, usual,
         [](C& c) {
             c.hello().agree(Option::starttls).server({0x15, 3, 3, 0, 2, 2, 40}).option(Option::list);
         }},
        {"HARD-END-CLIENT", client, usual,
         [](C& c) {
             c.hello().agree(Option::starttls).server({0x15, 3, 3, 0, 2, 2, 40}).option(Option::abort);
         }},
        {"INFO-LAYOUT", client, usual,
         [](C& c) {
             c.hello().option(Option::go, {0, 0, 0, 9, 'd', 'i', 's', 'k', 0, 0});
         }},
        {"INFO-REQUESTS-ONCE", client,
         [](C& c) {
             c.hello().option(Option::go, C::ask({InfoType::name, InfoType::block_size}));
         },
         [](C& c) {
             c.hello().option(Option::go, C::ask({InfoType::name, InfoType::name}));
         }},
        {"STRUCTURED-NO-DATA", client, structured,
         [](C& c) { c.hello().option(Option::structured_reply, some_data); }},
        {"EXTENDED-NO-DATA", client, [](C& c) { c.hello().agree(Option::extended_headers); },
         [](C& c) { c.hello().option(Option::extended_headers, some_data); }},
        {"META-LAYOUT", client, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, {0, 0, 0, 1, 'd', 0, 0, 0, 1, 0, 0, 0, 9, 'b'});
         }},
        {"META-QUERY-NAMESPACE", client, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::list_meta_context, C::queries({"allocation"}));
         }},
        {"LIST-META-STRUCTURED", client,
         [](C& c) {
             structured(c);
             c.option(Option::list_meta_context, C::queries({}));
         },
         [](C& c) { c.hello().option(Option::list_meta_context, C::queries({})); }},
        {"SET-META-STRUCTURED", client, contexts_selected,
         [](C& c) { c.hello().option(Option::set_meta_context, C::queries({})); }},
        {"SHUTDOWN-ABORT", client,
         [](C& c) {
             c.hello().option(Option::list).reply(Option::list, Type::err_shutdown).agree(Option::abort);
         },
         [](C& c) {
             c.hello().option(Option::list).reply(Option::list, Type::err_shutdown).option(Option::list);
         }},

        // ---- replies to options
        {"OPTION-REPLY-ASKED", server, usual, [](C& c) { c.hello().ack(Option::list); }},
        {"OPTION-REPLY-ECHO", server, listed, [](C& c) { c.hello().option(Option::list).ack(Option::go); }},
        {"ACK-NO-DATA", server, structured,
         [](C& c) {
             c.hello().option(Option::structured_reply);
             c.reply(Option::structured_reply, Type::ack, some_data);
         }},
        {"BASELINE-INFO-GO", server,
         [](C& c) { c.hello().option(Option::go, C::ask()).reply(Option::go, Type::err_unknown); },
         [](C& c) { c.hello().option(Option::go, C::ask()).reply(Option::go, Type::err_unsup); }},
        {"BASELINE-LIST", server,
         [](C& c) { c.hello().option(Option::list).reply(Option::list, Type::err_policy); },
         [](C& c) { c.hello().option(Option::list).reply(Option::list, Type::err_unsup); }},
        {"ABORT-ACK", server,
         [](C& c) {
             c.hello()
                 .option(Option::abort)
                 .reply(Option::abort, Type::err_tls_reqd)
                 .client_ends()
                 .server_ends();
         },
         [](C& c) {
             c.hello()
                 .option(Option::abort)
                 .reply(Option::abort, Type::err_policy)
                 .client_ends()
                 .server_ends();
         }},
        {"ABORT-ACK", server, aborted,
         [](C& c) { c.hello().option(Option::abort).reply(Option::abort, Type::err_unsup); }},
        {"LIST-REPLIES", server, listed,
         [](C& c) { c.hello().option(Option::list).info(Option::list, export_info()); }},
        {"SERVER-REPLY-LAYOUT", server, listed,
         [](C& c) {
             c.hello().option(Option::list).reply(Option::list, Type::server, {0, 0, 0, 9, 'd', 'i'});
         }},
        {"SERVER-REPLY-DETAILS", server, [](C& c) { described(c, "f\xc3\xbcr alle"); },
         [](C& c) { described(c, "f\xfcr alle"); }},
        {"SHUTDOWN-OPTIONS", server,
         [](C& c) {
             c.hello().option(Option::list).reply(Option::list, Type::err_shutdown).agree(Option::abort);
         },
         [](C& c) {
             c.hello().option(Option::list).reply(Option::list, Type::err_shutdown);
             c.option(Option::list).reply(Option::list, Type::err_policy);
         }},
        {"SERVER-REPLY-PLACE", server, listed,
         [](C& c) {
             c.hello().option(Option::info, C::ask());
             c.reply(Option::info, Type::server, export_entry("disk"));
         }},
        {"STARTTLS-REPLIES", server,
         [](C& c) { c.hello().option(Option::starttls).reply(Option::starttls, Type::err_unsup); },
         [](C& c) {
             c.hello().option(Option::starttls);
             c.reply(Option::starttls, Type::server, export_entry("disk"));
         }},
        {"NOTLS-NO-DEMAND", server,
         [](C& c) {
             c.hello().option(Option::starttls).reply(Option::starttls, Type::err_unsup);
             c.option(Option::list).reply(Option::list, Type::err_policy);
         },
         [](C& c) {
             c.hello().option(Option::starttls).reply(Option::starttls, Type::err_unsup);
             c.option(Option::list).reply(Option::list, Type::err_tls_reqd);
         }},
        {"INFO-REPLIES", server, usual,
         [](C& c) { c.hello().option(Option::go, C::ask()).context(Option::go, 1, "base:allocation"); }},
        {"INFO-REPLY-PLACE", server, usual,
         [](C& c) { c.hello().option(Option::list).info(Option::list, export_info()); }},
        {"INFO-EXPORT-SENT", server, usual,
         [](C& c) { c.hello().option(Option::info, C::ask()).ack(Option::info); }},
        {"INFO-EXPORT-LENGTH", server, usual,
         [](C& c) {
             nbd::Buffer data = nbd::encode(export_info());
             data.pop_back();
             c.hello().option(Option::go, C::ask()).reply(Option::go, Type::info, data);
         }},
        {"INFO-BLOCK-SIZE-LENGTH", server,
         [](C& c) { info_answered(c, export_info(), blocks(1, 4096, 1U << 25)); },
         [](C& c) {
             nbd::Buffer data = nbd::encode(blocks(1, 4096, 1U << 25));
             data.push_back(0);
             c.hello().option(Option::go, C::ask()).reply(Option::go, Type::info, data);
         }},
        {"INFO-LENGTH", server, usual,
         [](C& c) { c.hello().option(Option::go, C::ask()).reply(Option::go, Type::info, {0}); }},
        {"INFO-ONCE", server, usual,
         [](C& c) {
             c.hello().option(Option::go, C::ask());
             c.info(Option::go, export_info()).info(Option::go, export_info());
         }},
        {"BLOCK-SIZE-MINIMUM", server,
         [](C& c) { info_answered(c, export_info(), blocks(65536, 65536, 1U << 25)); },
         [](C& c) { info_answered(c, export_info(), blocks(131072, 131072, 1U << 25)); }},
        {"BLOCK-SIZE-PREFERRED", server,
         [](C& c) { info_answered(c, export_info(), blocks(1, 512, 1U << 25)); },
         [](C& c) { info_answered(c, export_info(), blocks(1, 256, 1U << 25)); }},
        {"BLOCK-SIZE-PAYLOAD", server,
         [](C& c) { info_answered(c, export_info(4096), blocks(1, 4096, 4096)); },
         [](C& c) { info_answered(c, export_info(4096), blocks(1, 4096, 4095)); }},
        {"BLOCK-SIZE-PAYLOAD-1M", server,
         [](C& c) { info_answered(c, export_info((1U << 20) - 1), blocks(1, 4096, 1U << 18)); },
         [](C& c) { info_answered(c, export_info(1U << 20), blocks(1, 4096, 1U << 19)); }},
        {"SIZE-OF-BLOCKS", server,
         [](C& c) { info_answered(c, export_info(1024), blocks(512, 4096, 1U << 25)); },
         [](C& c) { info_answered(c, export_info(1025), blocks(512, 4096, 1U << 25)); }},
        {"UNKNOWN-NO-INFO", server,
         [](C& c) { c.hello().option(Option::go, C::ask()).reply(Option::go, Type::err_unknown); },
         [](C& c) {
             c.hello().option(Option::go, C::ask());
             c.info(Option::go, export_info()).reply(Option::go, Type::err_unknown);
         }},
        {"BLOCK-SIZE-REQD-ASKED", server,
         [](C& c) {
             c.hello().option(Option::go, C::ask()).info(Option::go, blocks(512, 4096, 1U << 25));
             c.reply(Option::go, Type::err_block_size_reqd);
         },
         [](C& c) {
             c.hello().option(Option::go, C::ask({InfoType::block_size}));
             c.info(Option::go, blocks(512, 4096, 1U << 25)).reply(Option::go, Type::err_block_size_reqd);
         }},
        {"BLOCK-SIZE-REQD-TELLS", server,
         [](C& c) {
             c.hello().option(Option::go, C::ask()).info(Option::go, blocks(512, 4096, 1U << 25));
             c.reply(Option::go, Type::err_block_size_reqd);
         },
         [](C& c) { c.hello().option(Option::go, C::ask()).reply(Option::go, Type::err_block_size_reqd); }},
        {"INFO-GO-AGREE", server,
         [](C& c) {
             c.hello().option(Option::info, C::ask()).info(Option::info, export_info()).ack(Option::info);
             c.option(Option::go, C::ask()).info(Option::go, export_info()).ack(Option::go);
         },
         [](C& c) {
             c.hello().option(Option::info, C::ask()).info(Option::info, export_info()).ack(Option::info);
             c.option(Option::go, C::ask());
             c.info(Option::go, export_info(1U << 20, has::has_flags | has::read_only)).ack(Option::go);
         }},
        {"EXTENDED-GO", server, [](C& c) { c.extended(); },
         [](C& c) {
             c.hello().agree(Option::extended_headers).option(Option::go, C::ask());
             c.reply(Option::go, Type::err_unsup);
         }},
        {"STRUCTURED-REPLIES", server, structured,
         [](C& c) {
             c.hello().option(Option::structured_reply).info(Option::structured_reply, export_info());
         }},
        {"EXTENDED-REPLIES", server, [](C& c) { c.extended(); },
         [](C& c) {
             c.hello().option(Option::extended_headers).info(Option::extended_headers, export_info());
         }},
        {"META-REPLIES", server, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:allocation"}));
             c.info(Option::set_meta_context, export_info());
         }},
        {"META-REPLY-PLACE", server, contexts_selected,
         [](C& c) { c.hello().option(Option::list).context(Option::list, 1, "base:allocation"); }},
        {"META-CONTEXT-NAMESPACE", server, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:allocation"}));
             c.context(Option::set_meta_context, 1, "allocation");
         }},
        {"META-NAMESPACE-CHARACTERS", server, [](C& c) { one_listed(c, "x-plain:thing"); },
         [](C& c) { one_listed(c, "x-not plain:thing"); }},
        {"META-NAMESPACE-KNOWN", server, [](C& c) { one_listed(c, "qemu:allocation-depth"); },
         [](C& c) { one_listed(c, "acme:thing"); }},
        {"META-NAME-STRING", server, [](C& c) { one_listed(c, "x-plain:gr\xc3\xbcn"); },
         [](C& c) { one_listed(c, "x-plain:gr\xfcn"); }},
        {"LIST-META-ID", server,
         [](C& c) {
             structured(c);
             c.option(Option::list_meta_context, C::queries({}));
             c.context(Option::list_meta_context, 0, "base:allocation").ack(Option::list_meta_context);
         },
         [](C& c) {
             structured(c);
             c.option(Option::list_meta_context, C::queries({}));
             c.context(Option::list_meta_context, 1, "base:allocation");
         }},
        {"SET-META-UNIQUE", server, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:allocation", "x-a:b"}));
             c.context(Option::set_meta_context, 1, "base:allocation");
             c.context(Option::set_meta_context, 1, "x-a:b");
         }},
        {"SET-META-NONE", server,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({})).ack(Option::set_meta_context);
         },
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({}));
             c.context(Option::set_meta_context, 1, "base:allocation").ack(Option::set_meta_context);
         }},
        {"SET-META-WILDCARD", server,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:"})).ack(Option::set_meta_context);
         },
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:"}));
             c.context(Option::set_meta_context, 1, "base:allocation").ack(Option::set_meta_context);
         }},
        {"SET-META-REFUSED", server, contexts_selected,
         [](C& c) {
             c.hello().option(Option::set_meta_context, C::queries({})).ack(Option::set_meta_context);
         }},
        {"META-BASE-COMPACT", server, contexts_selected,
         [](C& c) {
             structured(c);
             c.option(Option::set_meta_context, C::queries({"base:allocation"}));
             c.reply(Option::set_meta_context, Type::err_ext_header_reqd);
         }},

        // ---- transmission flags
        {"HAS-FLAGS", server, usual,
         [](C& c) {
             c.hello();
             enter_by_name(c, 0);
         }},
        {"EXPORT-NAME-ZEROES", server,
         [](C& c) {
             c.greeting(1).client_flags(1);
             enter_by_name(c, has::has_flags, nbd::Buffer(nbd::handshake_padding));
         },
         [](C& c) {
             c.greeting(1).client_flags(1);
             enter_by_name(c, has::has_flags, nbd::Buffer(nbd::handshake_padding, 7));
         }},
        {"FLAG-DF", server, [](C& c) { c.structured({.flags = has::send_df}); },
         [](C& c) { c.simple({.flags = has::send_df}); }},
        {"FLAG-FAST-ZERO", server,
         [](C& c) { c.simple({.flags = has::send_fast_zero | has::send_write_zeroes}); },
         [](C& c) { c.simple({.flags = has::send_fast_zero}); }},
        {"FLAG-STATUS-PAYLOAD", server,
         [](C& c) {
             c.extended({.flags = has::block_status_payload, .contexts = {{1, "base:allocation"}}});
         },
         [](C& c) { c.structured({.flags = has::block_status_payload}); }},
        {"FLAG-STATUS-PAYLOAD-CONTEXTS", server,
         [](C& c) {
             c.extended({.flags = has::block_status_payload, .contexts = {{1, "base:allocation"}}});
         },
         [](C& c) { c.extended({.flags = has::block_status_payload}); }},

        // ---- leaving
        {"HAGGLING-SOFT-END", client, aborted, [](C& c) { c.hello().client_ends(); }},
        {"HAGGLING-NO-HANG-UP", server, aborted, [](C& c) { c.hello().option(Option::list).server_ends(); }},
        {"HAGGLING-NO-HANG-UP", server,
         [](C& c) { c.greeting().client_flags(0).option(Option::list).server_ends(); },
         [](C& c) { c.greeting().client_flags(1).option(Option::list).server_ends(); }},
    };
}

} // namespace wire
