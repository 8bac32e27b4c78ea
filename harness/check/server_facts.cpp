#include "harness/check/server_facts.hpp"

#include <fmt/format.h>

namespace harness::check {
namespace {

/// Beyond all that a probe exchanges.
constexpr int patience_of_a_connection = 4;

bool has_flag(const ExportFacts* exported, std::uint16_t flag) {
    return exported != nullptr && (exported->flags & flag) != 0;
}

template <std::uint16_t Flag>
bool flagged(const ServerFacts&, const ExportFacts* exported) {
    return has_flag(exported, Flag);
}
template <std::uint16_t Flag>
bool not_flagged(const ServerFacts&, const ExportFacts* exported) {
    return exported != nullptr && !has_flag(exported, Flag);
}
template <nbd::Option Option>
bool takes(const ServerFacts& server, const ExportFacts*) {
    return server.takes(Option);
}
template <nbd::Option Option>
bool refuses(const ServerFacts& server, const ExportFacts*) {
    return server.fixed() && !server.takes(Option);
}
template <std::uint16_t Capability>
bool capable(const ServerFacts&, const ExportFacts* exported) {
    return exported != nullptr && exported->resize && (exported->resize->capabilities & Capability) != 0;
}
template <std::uint16_t Capability>
bool incapable(const ServerFacts&, const ExportFacts* exported) {
    return exported != nullptr && exported->resize && (exported->resize->capabilities & Capability) == 0;
}

/// Compact headers can ask for more than an export below this size has, aligned to any minimum block size.
constexpr std::uint64_t small = 0xffff0000;

namespace flag = nbd::transmission_flag;
namespace capability = nbd::resize_capability;

} // namespace

const std::vector<NeedWord>& need_words() {
    static const std::vector<NeedWord> words = {
        {"newstyle", "the server speaks newstyle",
         [](const ServerFacts& s, const ExportFacts*) { return s.newstyle(); }},
        {"oldstyle", "the server speaks oldstyle",
         [](const ServerFacts& s, const ExportFacts*) { return !s.newstyle(); }},
        {"fixed", "the server speaks fixed newstyle",
         [](const ServerFacts& s, const ExportFacts*) { return s.fixed(); }},
        {"no-fixed", "the server speaks newstyle, but not fixed newstyle",
         [](const ServerFacts& s, const ExportFacts*) { return s.newstyle() && !s.fixed(); }},
        {"no-zeroes", "NBD_FLAG_NO_ZEROES is offered",
         [](const ServerFacts& s, const ExportFacts*) { return s.no_zeroes(); }},
        {"zeroes", "the server speaks newstyle, but does not offer NBD_FLAG_NO_ZEROES",
         [](const ServerFacts& s, const ExportFacts*) { return s.newstyle() && !s.no_zeroes(); }},
        {"unasked", "a client that does not ask for block sizes is let in",
         [](const ServerFacts& s, const ExportFacts*) { return s.lets_in_unasked; }},
        {"names", "some names are not exported",
         [](const ServerFacts& s, const ExportFacts*) { return s.refuses_names; }},
        {"started", "the suite has started the server, and may shut it down",
         [](const ServerFacts& s, const ExportFacts*) { return static_cast<bool>(s.shut_down); }},
        {"outside", "the suite can change the size of the export behind the back of clients",
         [](const ServerFacts& s, const ExportFacts*) { return static_cast<bool>(s.resize_outside); }},
        {"export", "the server lets a client into the export",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr; }},
        {"info", "NBD_OPT_INFO is taken", takes<nbd::Option::info>},
        {"go", "NBD_OPT_GO is taken", takes<nbd::Option::go>},
        {"no-go", "NBD_OPT_GO is not taken", refuses<nbd::Option::go>},
        {"list", "NBD_OPT_LIST is taken", takes<nbd::Option::list>},
        {"structured", "structured replies can be negotiated", takes<nbd::Option::structured_reply>},
        {"no-structured", "structured replies cannot be negotiated", refuses<nbd::Option::structured_reply>},
        {"extended", "extended headers can be negotiated", takes<nbd::Option::extended_headers>},
        {"no-extended", "extended headers cannot be negotiated", refuses<nbd::Option::extended_headers>},
        {"list-meta", "NBD_OPT_LIST_META_CONTEXT is taken", takes<nbd::Option::list_meta_context>},
        {"meta", "metadata contexts can be selected", takes<nbd::Option::set_meta_context>},
        {"starttls", "TLS can be negotiated",
         [](const ServerFacts& s, const ExportFacts*) { return s.offers_tls(); }},
        {"no-starttls", "TLS cannot be negotiated",
         [](const ServerFacts& s, const ExportFacts*) { return s.fixed() && !s.offers_tls(); }},
        {"tls-only", "options are refused until TLS is there",
         [](const ServerFacts& s, const ExportFacts*) { return s.demands_tls(); }},
        {"tls-export", "the export is refused until TLS is there, and other things are not",
         [](const ServerFacts& s, const ExportFacts*) { return s.wants_tls_for_export(); }},
        {"hides", "an unknown export is refused for want of TLS, and other things are not",
         [](const ServerFacts& s, const ExportFacts*) { return s.hides_names; }},
        {"clear", "options are not refused for want of TLS",
         [](const ServerFacts& s, const ExportFacts*) { return s.fixed() && !s.demands_tls(); }},
        {"allocation", "base:allocation can be selected",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && e->allocation; }},
        {"no-allocation", "base:allocation cannot be selected",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && !e->allocation; }},
        {"writable", "the export is writable, and --writable is given",
         [](const ServerFacts& s, const ExportFacts* e) {
             return s.permissions.writable && e != nullptr && !has_flag(e, flag::read_only);
         }},
        {"read-only", "NBD_FLAG_READ_ONLY is set", flagged<flag::read_only>},
        {"flush", "NBD_FLAG_SEND_FLUSH is set", flagged<flag::send_flush>},
        {"no-flush", "NBD_FLAG_SEND_FLUSH is clear", not_flagged<flag::send_flush>},
        {"fua", "NBD_FLAG_SEND_FUA is set", flagged<flag::send_fua>},
        {"no-fua", "NBD_FLAG_SEND_FUA is clear", not_flagged<flag::send_fua>},
        {"trim", "NBD_FLAG_SEND_TRIM is set", flagged<flag::send_trim>},
        {"no-trim", "NBD_FLAG_SEND_TRIM is clear", not_flagged<flag::send_trim>},
        {"write-zeroes", "NBD_FLAG_SEND_WRITE_ZEROES is set", flagged<flag::send_write_zeroes>},
        {"no-write-zeroes", "NBD_FLAG_SEND_WRITE_ZEROES is clear", not_flagged<flag::send_write_zeroes>},
        {"fast-zero", "NBD_FLAG_SEND_FAST_ZERO is set", flagged<flag::send_fast_zero>},
        {"no-fast-zero", "NBD_FLAG_SEND_FAST_ZERO is clear", not_flagged<flag::send_fast_zero>},
        {"df", "NBD_FLAG_SEND_DF is set", flagged<flag::send_df>},
        {"no-df", "NBD_FLAG_SEND_DF is clear", not_flagged<flag::send_df>},
        {"cache", "NBD_FLAG_SEND_CACHE is set", flagged<flag::send_cache>},
        {"no-cache", "NBD_FLAG_SEND_CACHE is clear", not_flagged<flag::send_cache>},
        {"multi-conn", "NBD_FLAG_CAN_MULTI_CONN is set", flagged<flag::can_multi_conn>},
        {"status-payload", "NBD_FLAG_BLOCK_STATUS_PAYLOAD is set", flagged<flag::block_status_payload>},
        {"no-status-payload", "NBD_FLAG_BLOCK_STATUS_PAYLOAD is clear",
         not_flagged<flag::block_status_payload>},
        {"block-sizes", "block sizes are advertised",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && e->block.has_value(); }},
        {"default-sizes", "no other size constraints than the default are advertised",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr &&
                    (!e->block || (e->block->minimum <= 1 && e->block->maximum >= nbd::default_max_payload));
         }},
        {"small-payload", "a maximum payload below 32 MiB is advertised",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && e->block && e->block->maximum < nbd::default_max_payload;
         }},
        {"bytes", "no minimum block size above 1 is advertised",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && (!e->block || e->block->minimum <= 1);
         }},
        {"blocks", "a minimum block size above 1 is advertised",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && e->block && e->block->minimum > 1;
         }},
        {"sectors", "no minimum block size above 512 is advertised",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && (!e->block || e->block->minimum <= 512);
         }},
        {"resizable", "--size-ok-to-change is given and the export is writable",
         [](const ServerFacts& s, const ExportFacts* e) {
             return s.permissions.size_changes && s.permissions.writable && e != nullptr &&
                    !has_flag(e, flag::read_only);
         }},
        {"resize", "NBD_FLAG_SEND_RESIZE is set", flagged<flag::send_resize>},
        {"no-resize", "NBD_FLAG_SEND_RESIZE is clear", not_flagged<flag::send_resize>},
        {"resize-info", "NBD_INFO_RESIZE is sent",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && e->resize.has_value(); }},
        {"no-resize-info", "NBD_INFO_RESIZE is not sent",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && !e->resize; }},
        {"explicit", "NBD_INFO_RESIZE says EXPLICIT", capable<capability::explicit_>},
        {"no-explicit", "NBD_INFO_RESIZE does not say EXPLICIT", incapable<capability::explicit_>},
        {"shrink", "NBD_INFO_RESIZE says SHRINK", capable<capability::shrink>},
        {"no-shrink", "NBD_INFO_RESIZE does not say SHRINK", incapable<capability::shrink>},
        {"auto", "NBD_INFO_RESIZE says AUTO", capable<capability::automatic>},
        {"no-auto", "NBD_INFO_RESIZE does not say AUTO", incapable<capability::automatic>},
        {"implicit", "NBD_INFO_RESIZE says AUTO_IMPLICIT", capable<capability::automatic_implicit>},
        {"no-implicit", "NBD_INFO_RESIZE does not say AUTO_IMPLICIT",
         incapable<capability::automatic_implicit>},
        {"zeroed", "NBD_INFO_RESIZE says ZEROED", capable<capability::zeroed>},
        {"query", "NBD_INFO_RESIZE says QUERY", capable<capability::query>},
        {"no-query", "NBD_INFO_RESIZE does not say QUERY", incapable<capability::query>},
        {"notify", "NBD_INFO_RESIZE says NOTIFY", capable<capability::notify>},
        {"no-notify", "NBD_INFO_RESIZE does not say NOTIFY", incapable<capability::notify>},
        {"granular", "NBD_INFO_RESIZE tells a granularity above 1",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && e->resize && e->resize->granularity > 1;
         }},
        {"small", "the export is smaller than 4 GiB",
         [](const ServerFacts&, const ExportFacts* e) { return e != nullptr && e->size < small; }},
        {"no-growth", "NBD_INFO_RESIZE does not say AUTO_IMPLICIT, if it is sent",
         [](const ServerFacts& s, const ExportFacts* e) {
             return e != nullptr && !capable<capability::automatic_implicit>(s, e);
         }},
        {"limited", "NBD_INFO_RESIZE tells a largest size",
         [](const ServerFacts&, const ExportFacts* e) {
             return e != nullptr && e->resize && e->resize->largest != nbd::InfoResize::unknown_largest;
         }},
    };
    return words;
}

bool ServerFacts::takes(nbd::Option option) const {
    const auto found = answers.find(option);
    if (found == answers.end() || !found->second) {
        return false;
    }
    switch (*found->second) {
    case nbd::OptionReplyType::err_unsup:
    case nbd::OptionReplyType::err_policy:
    case nbd::OptionReplyType::err_platform:
    case nbd::OptionReplyType::err_tls_reqd:
        return false;
    default:
        return true;
    }
}

bool ServerFacts::offers_tls() const {
    const auto found = answers.find(nbd::Option::starttls);
    return found != answers.end() && found->second == nbd::OptionReplyType::ack;
}

bool ServerFacts::demands_tls() const {
    const auto found = answers.find(nbd::Option::list);
    return found != answers.end() && found->second == nbd::OptionReplyType::err_tls_reqd;
}

bool ServerFacts::wants_tls_for_export() const {
    const auto found = answers.find(nbd::Option::info);
    return found != answers.end() && found->second == nbd::OptionReplyType::err_tls_reqd && !demands_tls();
}

const ExportFacts* ServerFacts::any_export() const {
    for (const Style style : {Style::extended, Style::structured, Style::simple}) {
        if (const auto& facts = in(style)) {
            return &*facts;
        }
    }
    return nullptr;
}

namespace {

nbd::Option option_of(Style style) {
    return style == Style::extended ? nbd::Option::extended_headers : nbd::Option::structured_reply;
}

/// Learns the facts of one server, connection by connection.
class Prober {
  public:
    Prober(const nbd::Uri& uri, Permissions permissions, std::chrono::milliseconds patience)
      : patience_(patience) {
        facts_.uri = uri;
        facts_.permissions = permissions;
    }

    ServerFacts run() {
        look_at_options();
        look_at_tls();
        look_at_names();
        look_at_way_in();
        for (const Style style : all_styles) {
            if (facts_.no_greeting.empty()) {
                look_at_export(style);
            }
        }
        return std::move(facts_);
    }

  private:
    [[nodiscard]] Exchange connect() {
        return {facts_.uri, ++number_, log_, patience_, Clock::now() + patience_of_a_connection * patience_};
    }
    [[nodiscard]] const std::string& export_name() const { return facts_.uri.export_name; }
    void look_at_options();
    void look_at_tls();
    void look_at_names();
    void look_at_way_in();
    /// True if NBD_OPT_EXPORT_NAME lets a client into the export of this name.
    [[nodiscard]] bool enters(const std::string& name);
    void look_at_export(Style style);
    /// The export as a way into it describes it, or why it is closed.
    std::string look_inside(Exchange& exchange, Style style, bool by_export_name, ExportFacts& exported);
    static void take_information(const OptionOutcome& outcome, ExportFacts& exported);

    std::chrono::milliseconds patience_;
    ServerFacts facts_;
    WireLog log_;
    std::uint32_t number_ = 0;
};

void Prober::look_at_options() {
    Exchange exchange = connect();
    if (!exchange.problem().empty()) {
        throw NoServer(exchange.problem());
    }
    if (const std::string why = exchange.greet(); !why.empty()) {
        facts_.no_greeting = why; // a case will say more about it
        facts_.no_export.fill(why);
        return;
    }
    facts_.greeting = exchange.greeting();
    if (!facts_.fixed()) {
        return;
    }
    constexpr unsigned known = nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes;
    exchange.send_client_flags(facts_.greeting.handshake_flags & known);
    const std::pair<nbd::Option, nbd::Buffer> options[] = {
        {nbd::Option::list, {}},
        {nbd::Option::info, info_request(export_name(), {nbd::InfoType::block_size})},
        {nbd::Option::structured_reply, {}},
        {nbd::Option::list_meta_context, context_request(export_name(), {})},
        {nbd::Option::set_meta_context, context_request(export_name(), {std::string(nbd::base_allocation)})},
        {nbd::Option::extended_headers, {}},
    };
    for (const auto& [option, data] : options) {
        exchange.send_option(option, data);
        const OptionOutcome outcome = exchange.await_option();
        if (!outcome.complete) {
            break; // a case will say more about it
        }
        facts_.answers[option] = outcome.final_type();
    }
    exchange.leave();
}

void Prober::look_at_tls() {
    if (!facts_.fixed()) {
        return;
    }
    // On a connection of its own: where TLS is there, nothing can be said on it any more.
    Exchange exchange = connect();
    if (!exchange.problem().empty() || !exchange.haggle().empty()) {
        return; // a case will say more about it
    }
    exchange.send_option(nbd::Option::starttls);
    if (const OptionOutcome outcome = exchange.await_option(); outcome.complete) {
        facts_.answers[nbd::Option::starttls] = outcome.final_type();
    }
    exchange.leave();
}

bool Prober::enters(const std::string& name) {
    Exchange exchange = connect();
    if (!exchange.problem().empty() || !exchange.haggle().empty()) {
        return false;
    }
    exchange.send_option(nbd::Option::export_name,
                         {reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
    const bool entered = exchange.await_option().success();
    exchange.leave();
    return entered;
}

void Prober::look_at_names() {
    if (!facts_.fixed() || facts_.demands_tls()) {
        return;
    }
    const std::string nobody = "no export has this name";
    Exchange exchange = connect();
    if (!exchange.problem().empty() || !exchange.haggle().empty()) {
        return;
    }
    exchange.send_option(nbd::Option::info, info_request(nobody, {}));
    const OptionOutcome outcome = exchange.await_option();
    exchange.leave();
    facts_.hides_names = outcome.complete && outcome.final_type() == nbd::OptionReplyType::err_tls_reqd;
    // Servers that refuse names in one way and not in the other are the more interesting.
    facts_.refuses_names = (outcome.complete && outcome.final_type() == nbd::OptionReplyType::err_unknown) ||
                           (!enters(nobody) && enters(export_name()));
}

void Prober::look_at_way_in() {
    Exchange exchange = connect();
    if (!facts_.fixed() || !exchange.problem().empty() || !exchange.haggle().empty()) {
        facts_.lets_in_unasked = facts_.newstyle(); // plain newstyle has no way to ask
        return;
    }
    exchange.send_option(nbd::Option::go, info_request(export_name(), {}));
    const OptionOutcome outcome = exchange.await_option();
    facts_.lets_in_unasked =
        !outcome.complete || outcome.final_type() != nbd::OptionReplyType::err_block_size_reqd;
    exchange.leave();
}

void Prober::take_information(const OptionOutcome& outcome, ExportFacts& exported) {
    const auto take = [&]<class M>(nbd::InfoType type, std::optional<M>& into) {
        if (const nbd::Buffer* bytes = outcome.info(type)) {
            if (const auto decoded = nbd::decode<M>(*bytes)) {
                into = *decoded;
            }
        }
    };
    take(nbd::InfoType::block_size, exported.block);
    take(nbd::InfoType::resize, exported.resize);
}

std::string Prober::look_inside(Exchange& exchange, Style style, bool by_export_name, ExportFacts& exported) {
    const auto answer = [&](nbd::Option what, const nbd::Buffer& data) {
        exchange.send_option(what, data);
        return exchange.await_option();
    };
    if (std::string why = exchange.haggle(); !why.empty()) {
        return why;
    }
    if (style != Style::simple && !answer(option_of(style), {}).success()) {
        return fmt::format("{} fails", nbd::name(option_of(style)));
    }
    const std::string allocation(nbd::base_allocation);
    if (style != Style::simple && facts_.takes(nbd::Option::set_meta_context)) {
        exported.allocation =
            answer(nbd::Option::set_meta_context, context_request(export_name(), {allocation}))
                .contexts()
                .contains(allocation);
    }
    const OptionOutcome outcome =
        by_export_name
            ? answer(nbd::Option::export_name, {export_name().begin(), export_name().end()})
            : answer(nbd::Option::go,
                     info_request(export_name(), {nbd::InfoType::block_size, nbd::InfoType::resize}));
    if (!by_export_name && outcome.complete) {
        facts_.answers[nbd::Option::go] = outcome.final_type();
    }
    if (!outcome.success()) {
        return fmt::format("{} is answered by {}", nbd::name(outcome.option),
                           outcome.complete ? outcome.describe() : describe(exchange.silence(), patience_));
    }
    const Fields fields = outcome.fields(export_name(), {});
    if (!fields.contains("export-size")) {
        return "NBD_INFO_EXPORT is missing";
    }
    exported.size = fields.at("export-size");
    exported.flags = static_cast<std::uint16_t>(fields.at("transmission-flags"));
    take_information(outcome, exported);
    return {};
}

void Prober::look_at_export(Style style) {
    const auto index = static_cast<std::size_t>(style);
    if (!facts_.newstyle()) {
        const Greeting& greeting = facts_.greeting;
        if (style == Style::simple) {
            facts_.exports[index] = ExportFacts{greeting.size, greeting.transmission_flags, {}, {}, false};
        } else {
            facts_.no_export[index] = "the server speaks oldstyle, which has simple replies only";
        }
        return;
    }
    if (style != Style::simple && !facts_.takes(option_of(style))) {
        facts_.no_export[index] = fmt::format("{} is not taken", nbd::name(option_of(style)));
        return;
    }
    // NBD_OPT_EXPORT_NAME is for servers without NBD_OPT_GO; extended headers want the latter.
    for (const bool by_export_name : {false, true}) {
        if (!by_export_name && !facts_.fixed()) {
            continue;
        }
        if (by_export_name && style == Style::extended) {
            return;
        }
        Exchange exchange = connect();
        ExportFacts exported;
        const std::string why = exchange.problem().empty()
                                    ? look_inside(exchange, style, by_export_name, exported)
                                    : exchange.problem();
        exchange.leave();
        if (why.empty()) {
            facts_.exports[index] = exported;
            facts_.no_export[index].clear();
            return;
        }
        if (facts_.no_export[index].empty()) {
            facts_.no_export[index] = why;
        }
    }
}

} // namespace

ServerFacts probe_server(const nbd::Uri& uri, Permissions permissions, std::chrono::milliseconds patience) {
    return Prober(uri, permissions, patience).run();
}

} // namespace harness::check
