// What servers send during the handshake: greetings and replies to options.

#include "harness/wire/apply.hpp"
#include "protocol/describe.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wire {
namespace {

bool all_zero(nbd::Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

} // namespace

void Judge::resolve_server() {
    Stream& in = stream(Side::server);
    switch (state_.phase) {
    case Phase::greeting:
        return in.await(Expect::greeting, nbd::wire_size<nbd::GreetingStart>);
    case Phase::client_flags:
    case Phase::haggling:
        if (state_.option && state_.option->option == nbd::Option::export_name) {
            return in.await(Expect::export_name_reply, nbd::wire_size<nbd::ExportNameReply> +
                                                           (state_.no_zeroes() ? 0 : nbd::handshake_padding));
        }
        return in.await(Expect::option_reply_header, nbd::wire_size<nbd::OptionReply>);
    case Phase::transmission:
        return in.await(Expect::reply_magic, sizeof(std::uint32_t));
    }
}

void Judge::server_piece(nbd::Bytes bytes) {
    switch (stream(Side::server).expect) {
    case Expect::greeting:
        return on_greeting(bytes);
    case Expect::newstyle:
        return on_newstyle(bytes);
    case Expect::oldstyle:
        return on_oldstyle(bytes);
    case Expect::option_reply_header:
        return on_option_reply_header(bytes);
    case Expect::option_reply_data:
        return on_option_reply(bytes);
    case Expect::export_name_reply:
        return on_export_name_reply(bytes);
    case Expect::reply_magic:
        return on_reply_magic(bytes);
    case Expect::simple_reply:
        return on_simple_reply(bytes);
    case Expect::structured_chunk:
        return on_chunk_header(bytes, false);
    case Expect::extended_chunk:
        return on_chunk_header(bytes, true);
    case Expect::chunk_content:
        return on_content(bytes);
    case Expect::chunk_error:
        return on_error(bytes);
    case Expect::chunk_status_start:
        return on_status_start(bytes);
    case Expect::chunk_extents:
        return on_extents(bytes);
    default:
        return on_size(bytes);
    }
}

void Judge::on_greeting(nbd::Bytes bytes) {
    const auto start = nbd::decode<nbd::GreetingStart>(bytes);
    if (start.has_error()) {
        return stray(Side::server, StrayEvent::Kind::greeting_magic, start.error().value,
                     "the server does not begin with NBDMAGIC");
    }
    Stream& in = stream(Side::server);
    if (start.value().style == nbd::option_magic) {
        in.extend(Expect::newstyle, nbd::wire_size<nbd::NewstyleGreeting>);
    } else if (start.value().style == nbd::oldstyle_magic) {
        in.extend(Expect::oldstyle, nbd::wire_size<nbd::OldstyleGreeting> + nbd::handshake_padding);
    } else {
        stray(Side::server, StrayEvent::Kind::greeting_style, start.value().style,
              "the greeting is neither oldstyle nor newstyle");
    }
}

void Judge::on_newstyle(nbd::Bytes bytes) {
    const auto greeting = nbd::decode<nbd::NewstyleGreeting>(bytes).value();
    say(Side::server, [&] { return nbd::describe(greeting); });
    apply(greeting_rules(), GreetingEvent{state_, false, greeting.handshake_flags, true}, Side::server);
    state_.newstyle = true;
    state_.handshake_flags = greeting.handshake_flags;
    state_.phase = Phase::client_flags;
    stream(Side::server).next();
}

void Judge::on_oldstyle(nbd::Bytes bytes) {
    constexpr std::size_t size = nbd::wire_size<nbd::OldstyleGreeting>;
    const auto greeting = nbd::decode<nbd::OldstyleGreeting>(bytes.first(size)).value();
    say(Side::server, [&] { return nbd::describe(greeting); });
    apply(greeting_rules(),
          GreetingEvent{state_, true, greeting.handshake_flags, all_zero(bytes.subspan(size))}, Side::server);
    told({state_, Telling::oldstyle, greeting.size, greeting.transmission_flags, true});
    EnteredExport entered;
    entered.telling = Telling::oldstyle;
    entered.size = greeting.size;
    entered.flags = greeting.transmission_flags;
    enter(std::move(entered));
}

void Judge::told(const ExportEvent& event) {
    apply(export_rules(), event, Side::server);
    apply(resize_export_rules(), event, Side::server);
}

void Judge::enter(EnteredExport entered) {
    state_.entered = std::move(entered);
    state_.option.reset();
    state_.phase = Phase::transmission;
    state_.largest_size = sizes_.tell(state_.entered->name, state_.entered->size);
    stream(Side::server).next();
}

void Judge::on_option_reply_header(nbd::Bytes bytes) {
    const auto header = nbd::decode<nbd::OptionReply>(bytes);
    if (header.has_error()) {
        return stray(Side::server, StrayEvent::Kind::option_reply_magic, header.error().value,
                     "what the server sends does not begin with the magic number of an option reply");
    }
    reply_header_ = header.value();
    Stream& in = stream(Side::server);
    if (reply_header_.length > longest_kept) {
        in.next(reply_header_.length);
        on_option_reply({});
    } else if (reply_header_.length == 0) {
        in.next();
        on_option_reply({});
    } else {
        in.await(Expect::option_reply_data, reply_header_.length);
    }
}

void Judge::on_option_reply(nbd::Bytes data) {
    Stream& in = stream(Side::server);
    if (in.expect == Expect::option_reply_data) {
        in.next();
    }
    if (!state_.option && stream(Side::client).expect == Expect::option_data) {
        return lose("an option was answered before all of its data had come");
    }
    OptionReplyEvent event{state_, reply_header_, data, {}, {}, {}, {}, {}, {}, {}, {}};
    const bool kept = data.size() == reply_header_.length;
    std::string content;
    const auto decode_into = [&]<class M>(std::optional<M>& into) {
        const nbd::Decoded<M> decoded = nbd::decode<M>(data);
        if (decoded.has_value()) {
            into = decoded.value();
            if (observer_.wants_messages()) {
                content = nbd::describe(*into);
            }
        } else {
            event.malformed = decoded.error();
            content = decoded.error().describe();
        }
    };
    if (kept && reply_header_.type == nbd::OptionReplyType::server) {
        decode_into(event.server);
    } else if (kept && reply_header_.type == nbd::OptionReplyType::meta_context) {
        decode_into(event.context);
    } else if (kept && reply_header_.type == nbd::OptionReplyType::info) {
        const auto start = nbd::decode_prefix<nbd::InfoReplyStart>(data);
        if (start.has_error()) {
            event.malformed = start.error();
        } else {
            event.info = start.value().type;
            switch (start.value().type) {
            case nbd::InfoType::export_:
                decode_into(event.export_info);
                break;
            case nbd::InfoType::name:
            case nbd::InfoType::description:
                decode_into(event.text);
                break;
            case nbd::InfoType::block_size:
                decode_into(event.block);
                break;
            case nbd::InfoType::resize:
                decode_into(event.resize);
                break;
            }
        }
    } else if (nbd::is_error(reply_header_.type)) {
        content = nbd::quoted(std::string(data.begin(), data.end()));
    }
    say(Side::server, [&] { return nbd::describe(reply_header_) + (content.empty() ? "" : ": ") + content; });
    apply(option_reply_rules(), event, Side::server);
    apply(resize_option_reply_rules(), event, Side::server);
    after_option_reply(event);
}

void Judge::after_option_reply(const OptionReplyEvent& event) {
    if (!state_.option || state_.option->option != event.reply.option) {
        return lose("the server answers an option that is not under way");
    }
    OpenOption& option = *state_.option;
    if (event.reply.type == nbd::OptionReplyType::ack || event.is_error()) {
        return finish_option(event);
    }
    if (event.info) {
        option.told.push_back(*event.info);
    }
    if (event.export_info) {
        const Telling telling = option.option == nbd::Option::go ? Telling::go : Telling::info;
        told({state_, telling, event.export_info->size, event.export_info->transmission_flags, true});
        option.export_info = event.export_info;
    }
    if (event.block) {
        option.block = event.block;
    }
    if (event.resize) {
        option.resize = event.resize;
    }
    if (event.context) {
        option.contexts.emplace(event.context->id, event.context->context);
        ++option.context_replies;
    }
    if (option.told.size() + option.context_replies > longest_kept) {
        lose("an option has very many replies");
    }
}

void Judge::finish_option(const OptionReplyEvent& event) {
    OpenOption option = std::move(*state_.option);
    state_.option.reset();
    const bool done = event.reply.type == nbd::OptionReplyType::ack;
    state_.told_to_stop = state_.told_to_stop || event.reply.type == nbd::OptionReplyType::err_shutdown;
    state_.tls_demanded = state_.tls_demanded || event.reply.type == nbd::OptionReplyType::err_tls_reqd;
    if (option.option != nbd::Option::info) {
        state_.last_info.reset();
    }
    switch (option.option) {
    case nbd::Option::starttls:
        state_.tls_refused = event.reply.type == nbd::OptionReplyType::err_unsup ||
                             event.reply.type == nbd::OptionReplyType::err_policy;
        if (done) {
            lose("TLS is in use");
            tls_.emplace();
        }
        return;
    case nbd::Option::structured_reply:
        state_.structured = state_.structured || done;
        return;
    case nbd::Option::extended_headers:
        state_.extended = state_.extended || done;
        return;
    case nbd::Option::set_meta_context:
        state_.selected.reset();
        if (done) {
            state_.selected = std::move(option);
        }
        return;
    case nbd::Option::info:
        state_.last_info.reset();
        if (done) {
            state_.info_with_block_size =
                state_.info_with_block_size || option.asked(nbd::InfoType::block_size);
            state_.last_info = std::move(option);
        }
        return;
    case nbd::Option::go:
        break;
    default:
        return;
    }
    if (!done) {
        return;
    }
    EnteredExport entered;
    entered.name = option.info ? option.info->export_name : "";
    entered.telling = Telling::go;
    entered.asked_block = option.asked(nbd::InfoType::block_size);
    entered.block = option.block;
    entered.resize = option.resize;
    if (option.export_info) {
        entered.size = option.export_info->size;
        entered.flags = option.export_info->transmission_flags;
    }
    if (state_.selected && state_.selected->meta && state_.selected->meta->export_name == entered.name) {
        entered.contexts = state_.selected->contexts;
    }
    const bool known = option.export_info.has_value();
    enter(std::move(entered));
    if (!known) {
        lose("the client has entered an export without being told its size and flags");
    }
}

void Judge::on_export_name_reply(nbd::Bytes bytes) {
    constexpr std::size_t size = nbd::wire_size<nbd::ExportNameReply>;
    const auto reply = nbd::decode<nbd::ExportNameReply>(bytes.first(size)).value();
    // Read as an export, these bytes would be one of 1.1 PB without NBD_FLAG_HAS_FLAGS.
    if (reply.size == nbd::option_reply_magic && reply.transmission_flags == 0) {
        return stray(Side::server, StrayEvent::Kind::reply_to_export_name, reply.size,
                     "the server answers NBD_OPT_EXPORT_NAME by an option reply");
    }
    say(Side::server, [&] { return nbd::describe(reply); });
    told({state_, Telling::export_name, reply.size, reply.transmission_flags, all_zero(bytes.subspan(size))});
    EnteredExport entered;
    entered.name = state_.option->export_name.value_or("");
    entered.telling = Telling::export_name;
    entered.size = reply.size;
    entered.flags = reply.transmission_flags;
    if (state_.selected && state_.selected->meta && state_.selected->meta->export_name == entered.name) {
        entered.contexts = state_.selected->contexts;
    }
    enter(std::move(entered));
}

} // namespace wire
