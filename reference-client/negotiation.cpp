#include "reference-client/negotiation.hpp"

#include "protocol/describe.hpp"
#include "reference-client/payload_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace refclient {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

/// The errno value that says best why a server refused an option.
int to_errno(OptionReplyType type) {
    switch (type) {
    case OptionReplyType::err_unsup:
    case OptionReplyType::err_platform:
    case OptionReplyType::err_tls_reqd:
    case OptionReplyType::err_ext_header_reqd:
        return ENOTSUP;
    case OptionReplyType::err_policy:
        return EPERM;
    case OptionReplyType::err_unknown:
        return ENOENT;
    case OptionReplyType::err_shutdown:
        return ESHUTDOWN;
    default:
        return EINVAL;
    }
}

std::string_view explain(OptionReplyType type) {
    switch (type) {
    case OptionReplyType::err_unsup:
        return "the server does not know this option";
    case OptionReplyType::err_policy:
        return "the server's policy forbids it";
    case OptionReplyType::err_invalid:
        return "the server takes the option for invalid";
    case OptionReplyType::err_platform:
        return "the server's platform does not support it";
    case OptionReplyType::err_tls_reqd:
        return "the server demands TLS, which this client does not have";
    case OptionReplyType::err_unknown:
        return "there is no such export; `list` shows which there are";
    case OptionReplyType::err_shutdown:
        return "the server is shutting down";
    case OptionReplyType::err_block_size_reqd:
        return "the server demands that the client asks for block sizes";
    case OptionReplyType::err_too_big:
        return "too big for the server";
    case OptionReplyType::err_ext_header_reqd:
        return "the server demands extended headers";
    default:
        return "the server refused it";
    }
}

void check_sendable(std::string_view what, std::string_view text) {
    if (text.size() > nbd::max_string || text.find('\0') != std::string_view::npos || !is_utf8(text)) {
        throw Failure(FailureKind::local, EINVAL,
                      fmt::format("{} {} cannot be sent: it has to be UTF-8 without NUL, of {} bytes at most",
                                  what, nbd::quoted(text), nbd::max_string));
    }
}

} // namespace

Negotiation::Negotiation(const Options& options, Goal goal, std::string export_name)
  : options_(options)
  , goal_(goal)
  , needed_(nbd::wire_size<nbd::GreetingStart>) {
    info_.name = std::move(export_name);
    check_sendable("export name", info_.name);
    for (const std::string& context : options_.contexts) {
        check_sendable("metadata context", context);
    }
    if (goal == Goal::list) {
        plan_ = {Option::list};
        return;
    }
    // With extended headers a client must not use NBD_OPT_EXPORT_NAME.
    if (options_.replies == Replies::extended && !options_.use_export_name) {
        plan_.push_back(Option::extended_headers);
    }
    if (options_.replies != Replies::simple) {
        plan_.push_back(Option::structured_reply);
        if (options_.list_contexts) {
            plan_.push_back(Option::list_meta_context);
        }
        if (!options_.contexts.empty()) {
            plan_.push_back(Option::set_meta_context);
        }
    }
    if (options_.faults.has(Fault::trust_opt_info) && goal == Goal::transmission) {
        plan_.push_front(Option::info);
    }
    plan_.push_back(options_.use_export_name ? Option::export_name
                    : goal == Goal::info     ? Option::info
                                             : Option::go);
}

template <class M>
void Negotiation::trace(Direction direction, const M& message) const {
    if (options_.trace) {
        options_.trace(direction, nbd::describe(message));
    }
}

std::size_t Negotiation::feed(nbd::Bytes bytes) {
    std::size_t used = 0;
    while (!finished() && used < bytes.size()) {
        const std::size_t left = bytes.size() - used;
        if (skip_ > 0) {
            const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, left));
            skip_ -= skipped;
            used += skipped;
            position_ += skipped;
            if (skip_ > 0) {
                break;
            }
        } else {
            const std::size_t taken = std::min(needed_ - received_.size(), left);
            const nbd::Bytes part = bytes.subspan(used, taken);
            received_.insert(received_.end(), part.begin(), part.end());
            used += taken;
            position_ += taken;
            if (received_.size() < needed_) {
                break;
            }
        }
        const nbd::Buffer message = std::exchange(received_, {});
        try {
            step(message);
        } catch (const Failure& broken) {
            fail(Failure(broken.kind(), broken.code(),
                         fmt::format("protocol error in the handshake: {} (up to byte {} of what the server "
                                     "sent)",
                                     broken.what(), position_)));
        }
    }
    return used;
}

void Negotiation::step(const nbd::Buffer& message) {
    switch (state_) {
    case State::greeting_start: {
        const nbd::Decoded<nbd::GreetingStart> decoded = nbd::decode<nbd::GreetingStart>(message);
        if (!decoded) {
            throw violation("this is no NBD server: it did not begin with NBDMAGIC");
        }
        const nbd::GreetingStart start = decoded.value();
        if (start.style == nbd::option_magic) {
            received_ = message;
            return await(State::newstyle_greeting, nbd::wire_size<nbd::NewstyleGreeting>);
        }
        if (start.style == nbd::oldstyle_magic) {
            received_ = message;
            return await(State::oldstyle_greeting,
                         nbd::wire_size<nbd::OldstyleGreeting> + nbd::handshake_padding);
        }
        throw violation(fmt::format("an unknown style of greeting, {:#018x}", start.style));
    }
    case State::newstyle_greeting:
        return take_newstyle(message);
    case State::oldstyle_greeting:
        return take_oldstyle(message);
    case State::option_reply:
        return take_reply_header(message);
    case State::option_payload:
        return take_reply_payload(message);
    case State::skipped_type:
        exchange_->skipped_type(nbd::decode<nbd::InfoReplyStart>(message).value().type);
        skip_ = exchange_->reply().length - message.size();
        return await(State::option_payload, 0);
    case State::export_name_reply:
        return take_export_name_reply(message);
    case State::padding:
        return enter_transmission();
    case State::finished:
        return;
    }
}

void Negotiation::take_newstyle(const nbd::Buffer& message) {
    const nbd::NewstyleGreeting greeting = nbd::decode<nbd::NewstyleGreeting>(message).value();
    trace(Direction::received, greeting);
    const bool fixed = (greeting.handshake_flags & nbd::handshake_flag::fixed_newstyle) != 0;
    info_.handshake = fixed ? HandshakeStyle::fixed_newstyle : HandshakeStyle::newstyle;

    nbd::ClientFlags answer;
    if (fixed && options_.fixed_newstyle) {
        answer.flags |= nbd::client_flag::fixed_newstyle;
    }
    if ((greeting.handshake_flags & nbd::handshake_flag::no_zeroes) != 0 && options_.no_zeroes) {
        answer.flags |= nbd::client_flag::no_zeroes;
        no_zeroes_ = true;
    }
    nbd::encode_to(output_, answer);
    trace(Direction::sent, answer);

    if ((answer.flags & nbd::client_flag::fixed_newstyle) == 0) {
        if (goal_ == Goal::list) {
            return fail(Failure(FailureKind::local, ENOTSUP,
                                "this server cannot list its exports: it does not have the fixed newstyle "
                                "handshake"));
        }
        plan_ = {Option::export_name};
    }
    next_option();
}

void Negotiation::take_oldstyle(const nbd::Buffer& message) {
    const nbd::OldstyleGreeting greeting = nbd::decode_prefix<nbd::OldstyleGreeting>(message).value();
    trace(Direction::received, greeting);
    info_.handshake = HandshakeStyle::oldstyle;
    info_.size = greeting.size;
    // Only the lower half: the upper one has handshake flags, which oldstyle servers do not use.
    info_.flags = greeting.transmission_flags;
    in_transmission_ = true;
    state_ = State::finished;
    if (goal_ == Goal::list) {
        failure_ = Failure(FailureKind::local, ENOTSUP,
                           "this server speaks the oldstyle handshake: it has one export without a name, "
                           "and no list");
    } else if (!info_.name.empty()) {
        failure_ = Failure(FailureKind::local, ENOTSUP,
                           fmt::format("this server speaks the oldstyle handshake: it has one export without "
                                       "a name, and cannot be asked for {}",
                                       nbd::quoted(info_.name)));
    }
}

void Negotiation::next_option() {
    if (plan_.empty()) {
        return abort();
    }
    const Option option = plan_.front();
    plan_.pop_front();
    switch (option) {
    case Option::export_name:
        return send_export_name();
    case Option::info:
    case Option::go:
        return send_info(option);
    case Option::list_meta_context:
    case Option::set_meta_context:
        // Contexts need replies with structure; without them the option must not be used.
        return info_.structured ? send_contexts(option) : next_option();
    case Option::structured_reply:
        // Extended headers include what it gives.
        return info_.extended() ? next_option() : send_option(option, {});
    default:
        return send_option(option, {});
    }
}

void Negotiation::send_option(Option option, nbd::Bytes payload) {
    const nbd::OptionRequest request{option, static_cast<std::uint32_t>(payload.size())};
    nbd::encode_to(output_, request);
    output_.insert(output_.end(), payload.begin(), payload.end());
    trace(Direction::sent, request);
    exchange_.emplace(option, OptionContext{info_.structured, options_.ask_resize, options_.faults});
    await(State::option_reply, nbd::wire_size<nbd::OptionReply>);
}

void Negotiation::send_info(Option option) {
    nbd::InfoRequest request{info_.name, {nbd::InfoType::name, nbd::InfoType::description}};
    if (options_.request_block_size) {
        request.requests.push_back(nbd::InfoType::block_size);
    }
    if (options_.ask_resize) {
        request.requests.push_back(nbd::InfoType::resize);
    }
    send_option(option, nbd::encode(request));
    trace(Direction::sent, request);
}

void Negotiation::send_contexts(Option option) {
    nbd::MetaContextRequest request{info_.name, {}};
    // A list without queries is about all contexts that there are.
    if (option == Option::set_meta_context) {
        for (const std::string& context : options_.contexts) {
            request.queries.push_back({context});
        }
    }
    send_option(option, nbd::encode(request));
    trace(Direction::sent, request);
}

void Negotiation::send_export_name() {
    const nbd::OptionRequest request{Option::export_name, static_cast<std::uint32_t>(info_.name.size())};
    nbd::encode_to(output_, request);
    output_.insert(output_.end(), info_.name.begin(), info_.name.end());
    trace(Direction::sent, request);
    await(State::export_name_reply, nbd::wire_size<nbd::ExportNameReply>);
}

void Negotiation::take_export_name_reply(const nbd::Buffer& message) {
    const nbd::ExportNameReply reply = nbd::decode<nbd::ExportNameReply>(message).value();
    trace(Direction::received, reply);
    info_.size = reply.size;
    info_.flags = reply.transmission_flags;
    if (no_zeroes_) {
        return enter_transmission();
    }
    skip_ = nbd::handshake_padding;
    state_ = State::padding;
}

void Negotiation::take_reply_header(const nbd::Buffer& message) {
    const nbd::Decoded<nbd::OptionReply> decoded = nbd::decode<nbd::OptionReply>(message);
    if (!decoded) {
        throw violation(
            fmt::format("a reply to {} has {}", nbd::name(exchange_->option()), decoded.error().describe()));
    }
    const nbd::OptionReply reply = decoded.value();
    trace(Direction::received, reply);
    const OptionExchange::Payload payload = exchange_->header(reply);
    if (reply.length == 0) {
        return take_reply_payload({});
    }
    if (payload == OptionExchange::Payload::skip) {
        return await(State::skipped_type, nbd::wire_size<nbd::InfoReplyStart>);
    }
    await(State::option_payload, reply.length);
}

void Negotiation::take_reply_payload(const nbd::Buffer& message) {
    if (options_.trace && !message.empty()) {
        options_.trace(Direction::received, payload_text(exchange_->reply(), message));
    }
    if (exchange_->payload(message)) {
        option_done();
    } else {
        await(State::option_reply, nbd::wire_size<nbd::OptionReply>);
    }
}

void Negotiation::option_done() {
    OptionOutcome outcome = std::move(exchange_->outcome());
    const Option option = exchange_->option();
    if (option == Option::abort) {
        state_ = State::finished;
        return;
    }
    // No option will succeed without TLS, and a server that shuts down has to be left.
    const bool hopeless =
        outcome.last == OptionReplyType::err_tls_reqd || outcome.last == OptionReplyType::err_shutdown;
    const bool needed = option == Option::info || option == Option::go || option == Option::list;
    if (!outcome.accepted() && (needed || hopeless)) {
        exchange_->outcome() = std::move(outcome);
        return refused();
    }
    switch (option) {
    case Option::extended_headers:
        if (outcome.accepted()) {
            info_.headers = nbd::HeaderStyle::extended;
            info_.structured = true;
        }
        break;
    case Option::structured_reply:
        info_.structured = outcome.accepted();
        break;
    case Option::list_meta_context:
        for (nbd::MetaContextReply& context : outcome.contexts) {
            info_.available_contexts.push_back(std::move(context.context));
        }
        break;
    case Option::set_meta_context:
        for (nbd::MetaContextReply& context : outcome.contexts) {
            info_.contexts.push_back({context.id, std::move(context.context)});
        }
        break;
    case Option::list:
        for (nbd::ServerReply& entry : outcome.exports) {
            exports_.push_back({std::move(entry.export_name), std::move(entry.description)});
        }
        break;
    default:
        info_.size = outcome.info->size;
        info_.flags = outcome.info->transmission_flags;
        info_.canonical_name = outcome.name.value_or("");
        info_.description = std::move(outcome.description);
        info_.block = outcome.block;
        if (option == Option::info || !options_.faults.has(Fault::trust_opt_info)) {
            info_.resize = outcome.resize;
        }
        if (option == Option::go) {
            return enter_transmission();
        }
    }
    next_option();
}

void Negotiation::refused() {
    const OptionOutcome& outcome = exchange_->outcome();
    const Option option = exchange_->option();
    const bool about_export = option == Option::info || option == Option::go;
    // Servers from before NBD_OPT_GO; with extended headers agreed there is no other way in.
    if (about_export && outcome.last == OptionReplyType::err_unsup && !info_.extended()) {
        return send_export_name();
    }
    std::string message =
        fmt::format("{} for {} was refused with {}: {}", nbd::name(option), nbd::quoted(info_.name),
                    nbd::name(outcome.last), explain(outcome.last));
    if (!about_export) {
        message = fmt::format("{} was refused with {}: {}", nbd::name(option), nbd::name(outcome.last),
                              explain(outcome.last));
    }
    if (!outcome.message.empty()) {
        message += fmt::format("; it says {}", nbd::quoted(outcome.message));
    }
    failure_ = Failure(FailureKind::server, to_errno(outcome.last), message);
    abort();
}

void Negotiation::abort() {
    plan_.clear();
    send_option(Option::abort, {});
}

void Negotiation::await(State state, std::size_t bytes) {
    state_ = state;
    needed_ = bytes;
}

void Negotiation::enter_transmission() {
    in_transmission_ = true;
    state_ = State::finished;
}

void Negotiation::fail(Failure failure) {
    // What a server does after NBD_OPT_ABORT changes nothing any more.
    if (!leaving()) {
        failure_ = std::move(failure);
    }
    state_ = State::finished;
}

std::string Negotiation::awaited() const {
    switch (state_) {
    case State::greeting_start:
    case State::newstyle_greeting:
    case State::oldstyle_greeting:
        return "its greeting";
    case State::option_reply:
    case State::option_payload:
    case State::skipped_type:
        return fmt::format("the reply to {}", nbd::name(exchange_->option()));
    case State::export_name_reply:
    case State::padding:
        return fmt::format("the reply to {}", nbd::name(Option::export_name));
    case State::finished:
        break;
    }
    return "nothing";
}

void Negotiation::feed_end() {
    if (finished()) {
        return;
    }
    std::string message = fmt::format("the server closed the connection instead of sending {}", awaited());
    if (!received_.empty() && state_ != State::newstyle_greeting && state_ != State::oldstyle_greeting) {
        message = fmt::format("the server closed the connection in the middle of {}", awaited());
    }
    if (state_ == State::export_name_reply && received_.empty()) {
        message += fmt::format(", which is how it refuses an export: is there one named {}?",
                               nbd::quoted(info_.name));
    }
    if (state_ == State::option_reply && received_.empty() &&
        (exchange_->option() == Option::extended_headers ||
         exchange_->option() == Option::structured_reply)) {
        message +=
            "; a server that does not know the option has to say so, but some old ones leave: asking for "
            "simple replies avoids it";
    }
    fail(Failure(FailureKind::connection, ECONNRESET, message));
}

} // namespace refclient
