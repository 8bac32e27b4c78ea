// What clients send: flags, options and requests.

#include "harness/wire/apply.hpp"
#include "protocol/describe.hpp"

#include <fmt/format.h>

namespace wire {
namespace {

/// The number of bytes of the export that a request is about.
std::uint64_t effect_of(const nbd::Request& request, const nbd::BlockStatusQuery* query) {
    if (query != nullptr) {
        return query->effect_length;
    }
    switch (request.type) {
    case nbd::Command::read:
    case nbd::Command::write:
    case nbd::Command::trim:
    case nbd::Command::cache:
    case nbd::Command::write_zeroes:
    case nbd::Command::block_status:
        return request.length;
    default:
        return 0;
    }
}

} // namespace

void Judge::resolve_client() {
    Stream& in = stream(Side::client);
    if (state_.disconnecting) {
        return stray(Side::client, StrayEvent::Kind::after_disconnect, 0,
                     "the client sends something after NBD_CMD_DISC");
    }
    if (state_.aborted) {
        return stray(Side::client, StrayEvent::Kind::after_abort, 0,
                     "the client sends something after NBD_OPT_ABORT");
    }
    switch (state_.phase) {
    case Phase::greeting:
    case Phase::client_flags:
        return in.await(Expect::client_flags, nbd::wire_size<nbd::ClientFlags>);
    case Phase::haggling:
        return in.await(Expect::option_header, nbd::wire_size<nbd::OptionRequest>);
    case Phase::transmission:
        return in.await(Expect::request_header, nbd::request_header_size(state_.style()));
    }
}

void Judge::client_piece(nbd::Bytes bytes) {
    switch (stream(Side::client).expect) {
    case Expect::client_flags:
        return on_client_flags(bytes);
    case Expect::option_header:
        return on_option_header(bytes);
    case Expect::option_data:
        return on_option(bytes);
    case Expect::request_header:
        return on_request_header(bytes);
    default:
        return on_request(bytes);
    }
}

void Judge::on_client_flags(nbd::Bytes bytes) {
    const auto flags = nbd::decode<nbd::ClientFlags>(bytes).value();
    say(Side::client, [&] { return nbd::describe(flags); });
    apply(client_flags_rules(), ClientFlagsEvent{state_, flags.flags}, Side::client);
    state_.client_flags = flags.flags;
    state_.phase = Phase::haggling;
    stream(Side::client).next();
}

void Judge::on_option_header(nbd::Bytes bytes) {
    const auto header = nbd::decode<nbd::OptionRequest>(bytes);
    if (header.has_error()) {
        const auto start = nbd::detail::load_big<std::uint32_t>(bytes.data());
        const bool request = start == nbd::request_magic || start == nbd::extended_request_magic;
        return request ? stray(Side::client, StrayEvent::Kind::before_reply, start,
                               "the client sends a request, but has not entered an export")
                       : stray(Side::client, StrayEvent::Kind::option_magic, header.error().value,
                               "what the client sends does not begin with IHAVEOPT");
    }
    option_header_ = header.value();
    Stream& in = stream(Side::client);
    if (option_header_.length > longest_kept) {
        on_option({});
        in.next(option_header_.length);
    } else if (option_header_.length == 0) {
        on_option({});
    } else {
        in.await(Expect::option_data, option_header_.length);
    }
}

void Judge::on_option(nbd::Bytes data) {
    OpenOption option;
    option.option = option_header_.option;
    option.length = option_header_.length;
    std::optional<nbd::Malformed> malformed;
    const bool kept = data.size() == option.length;
    const auto decode_into = [&]<class M>(std::optional<M>& into) {
        if (!kept) {
            return;
        }
        const nbd::Decoded<M> decoded = nbd::decode<M>(data);
        if (decoded.has_value()) {
            into = decoded.value();
        } else {
            malformed = decoded.error();
        }
    };
    if (option.is_info()) {
        decode_into(option.info);
    } else if (option.is_meta()) {
        decode_into(option.meta);
    } else if (option.option == nbd::Option::export_name && kept) {
        option.export_name.emplace(data.begin(), data.end());
    }
    say(Side::client, [&] {
        std::string text = nbd::describe(option_header_);
        if (option.info) {
            text += ": " + nbd::describe(*option.info);
        } else if (option.meta) {
            text += ": " + nbd::describe(*option.meta);
        } else if (option.export_name) {
            text += ": export_name=" + nbd::quoted(*option.export_name);
        } else if (malformed) {
            text += ": " + malformed->describe();
        }
        return text;
    });
    observer_.asked(option.option);
    apply(option_rules(), OptionEvent{state_, option, data, malformed}, Side::client);
    stream(Side::client).next();
    if (state_.option) {
        return lose("an option was sent before the last one was answered; replies cannot be told apart");
    }
    state_.aborted = option.option == nbd::Option::abort;
    state_.asked = true;
    state_.asked_for_state = state_.asked_for_state || option.option == nbd::Option::structured_reply ||
                             option.option == nbd::Option::extended_headers ||
                             option.option == nbd::Option::set_meta_context;
    state_.option = std::move(option);
}

void Judge::on_request_header(nbd::Bytes bytes) {
    const auto request = nbd::decode_request(bytes, state_.style());
    if (request.has_error()) {
        const bool option = nbd::detail::load_big<std::uint64_t>(bytes.data()) == nbd::option_magic;
        return option ? stray(Side::client, StrayEvent::Kind::option_in_transmission, 0,
                              "the client sends an option, but has entered an export")
                      : stray(Side::client, StrayEvent::Kind::request_magic, request.error().value,
                              "what the client sends does not begin with the magic number of a request");
    }
    request_ = {};
    request_.request = request.value();
    // A write carries its data, also where the flag that says so is missing.
    const std::uint64_t payload = request_.is(nbd::Command::write)
                                      ? request_.request.length
                                      : nbd::payload_length(request_.request, state_.style());
    Stream& in = stream(Side::client);
    if (request_.is(nbd::Command::block_status) && payload > 0 && payload <= longest_kept) {
        in.await(Expect::request_payload, static_cast<std::size_t>(payload));
        return;
    }
    in.next(payload);
    on_request({});
}

void Judge::on_request(nbd::Bytes payload) {
    std::optional<nbd::BlockStatusQuery> query;
    bool malformed = false;
    if (!payload.empty()) {
        stream(Side::client).next();
        const auto decoded = nbd::decode<nbd::BlockStatusQuery>(payload);
        malformed = decoded.has_error();
        if (decoded.has_value()) {
            query = decoded.value();
            request_.wanted_contexts = query->contexts;
        }
    }
    hear_sizes();
    const nbd::Request request = request_.request;
    request_.number = ++state_.requests;
    request_.size_had_moved = state_.size_moved;
    request_.effect = effect_of(request, query ? &*query : nullptr);
    say(Side::client,
        [&] { return nbd::describe(request) + (query ? ": " + nbd::describe(*query) : std::string()); });
    observer_.asked(request.type);
    const bool payload_counts = request.type == nbd::Command::read || request.type == nbd::Command::write;
    state_.huge_payload =
        state_.huge_payload || (payload_counts && request.length > nbd::default_max_payload);
    const bool in_use = state_.open.contains(request.cookie);
    const RequestEvent event{state_, request_, in_use, query ? &*query : nullptr, malformed};
    const bool broke = std::exchange(state_.broke[static_cast<int>(Side::client)], false);
    apply(request_rules(), event, Side::client);
    apply(resize_request_rules(), event, Side::client);
    request_.against_rules = state_.broken_by(Side::client);
    state_.broke[static_cast<int>(Side::client)] = broke || request_.against_rules;
    if (request.type == nbd::Command::disc) {
        state_.disconnecting = true;
        return;
    }
    if (in_use) {
        return lose("two open requests have the same cookie; replies cannot be told apart");
    }
    if (state_.open.size() >= most_open) {
        return lose(fmt::format("more than {} requests are open", most_open));
    }
    state_.open.emplace(request.cookie, request_);
    state_.subscriptions += request_.is_subscription() ? 1U : 0U;
}

} // namespace wire
