#include "reference-server/session/negotiation.hpp"

#include "protocol/describe.hpp"
#include "reference-server/session/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace refserver {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

/// The id of base:allocation.
constexpr std::uint32_t allocation_id = 1;

std::string_view as_text(nbd::Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_info(Option option) {
    return option == Option::info || option == Option::go;
}

bool is_meta_context(Option option) {
    return option == Option::list_meta_context || option == Option::set_meta_context;
}

bool takes_no_data(Option option) {
    return option == Option::list || option == Option::starttls || option == Option::structured_reply ||
           option == Option::extended_headers;
}

bool wants(const nbd::InfoRequest& request, nbd::InfoType type) {
    return std::find(request.requests.begin(), request.requests.end(), type) != request.requests.end();
}

} // namespace

Negotiation::Negotiation(const SessionOptions& options, ExportCatalogue& catalogue, OutputQueue& output,
                         const Trace& trace)
  : options_(options)
  , catalogue_(catalogue)
  , output_(output)
  , trace_(trace)
  , most_(options.most) {}

std::uint16_t Negotiation::handshake_flags() const {
    const unsigned flags =
        options_.handshake == Handshake::fixed_newstyle
            ? static_cast<unsigned>(nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes)
            : 0U;
    return static_cast<std::uint16_t>(flags & options_.handshake_flags_mask);
}

void Negotiation::greet() {
    if (options_.handshake != Handshake::oldstyle) {
        const nbd::NewstyleGreeting greeting{handshake_flags()};
        output_.add_copy(nbd::encode(greeting));
        if (trace_) {
            trace_("< " + nbd::describe(greeting));
        }
        return;
    }
    auto [served, why_not] = find({});
    if (!served) {
        return close("there is no default export: " + why_not);
    }
    const nbd::OldstyleGreeting greeting{served->size(), 0, transmission_flags(*served, {}, std::nullopt)};
    output_.add_copy(nbd::encode(greeting));
    output_.add_zeroes(nbd::handshake_padding);
    if (trace_) {
        trace_("< " + nbd::describe(greeting));
    }
    agree(std::move(served), {}, std::nullopt);
}

std::size_t Negotiation::consume(nbd::Bytes input) {
    if (state_ != State::going_on) {
        return 0;
    }
    if (!client_flags_) {
        return consume_client_flags(input);
    }
    return late_error_ ? consume_skipped(input) : consume_option(input);
}

std::size_t Negotiation::consume_client_flags(nbd::Bytes input) {
    if (input.size() < nbd::wire_size<nbd::ClientFlags>) {
        return 0;
    }
    const auto message = nbd::decode_prefix<nbd::ClientFlags>(input);
    client_flags_ = message->flags;
    if (trace_) {
        trace_("> " + nbd::describe(*message));
    }
    // Each client flag answers the handshake flag of the same bit.
    if ((*client_flags_ & ~std::uint32_t{handshake_flags()}) != 0) {
        close(fmt::format("the client set flags that were not offered: {}",
                          nbd::client_flag_names(*client_flags_ & ~std::uint32_t{handshake_flags()})));
    }
    return nbd::wire_size<nbd::ClientFlags>;
}

std::size_t Negotiation::consume_option(nbd::Bytes input) {
    constexpr std::size_t header_size = nbd::wire_size<nbd::OptionRequest>;
    if (input.size() < header_size) {
        return 0;
    }
    const auto request = nbd::decode_prefix<nbd::OptionRequest>(input);
    if (!request) {
        close(fmt::format("not an option: {}", request.error().describe()));
        return header_size;
    }
    const bool fixed = (*client_flags_ & nbd::client_flag::fixed_newstyle) != 0;
    if (!fixed && request->option != Option::export_name) {
        close(fmt::format("the client sent {} without having agreed to fixed newstyle",
                          nbd::name(request->option)));
        return header_size;
    }
    if (request->option == Option::set_meta_context) {
        // Whatever becomes of the request, what was selected before is gone.
        selected_.reset();
    }
    if (const auto error = refuse_unseen(*request)) {
        if (request->option == Option::export_name || request->length > max_drained_option) {
            // NBD_OPT_EXPORT_NAME cannot be answered with an error, and what is too much is not waited for.
            close(error->message);
            return header_size;
        }
        skipped_ = *request;
        to_skip_ = request->length;
        late_error_ = error;
        return header_size + consume_skipped(input.subspan(header_size));
    }
    if (input.size() < header_size + request->length) {
        return 0;
    }
    answer(*request, input.subspan(header_size, request->length));
    return header_size + request->length;
}

std::size_t Negotiation::consume_skipped(nbd::Bytes input) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), to_skip_));
    to_skip_ -= part;
    if (to_skip_ == 0) {
        if (trace_) {
            trace_("> " + nbd::describe(skipped_));
        }
        const LateError error = *std::exchange(late_error_, std::nullopt);
        if (error.type == OptionReplyType::ack) {
            acknowledge(skipped_.option);
            close("the client aborted the handshake");
        } else {
            reply_error(skipped_.option, error.type, error.message);
        }
    }
    return part;
}

std::optional<Negotiation::LateError> Negotiation::refuse_unseen(const nbd::OptionRequest& request) const {
    const Option option = request.option;
    if (option == Option::export_name) {
        if (request.length > nbd::max_string) {
            return LateError{OptionReplyType::err_invalid,
                             "the client asked for an export name of invalid length"};
        }
        if (shutting_down_) {
            return LateError{OptionReplyType::err_shutdown, "the server is being shut down"};
        }
        if (style_ == ReplyStyle::extended) {
            return LateError{OptionReplyType::err_invalid,
                             "the client chose NBD_OPT_EXPORT_NAME after it negotiated extended headers"};
        }
        return std::nullopt;
    }
    if (option == Option::abort) {
        return LateError{OptionReplyType::ack, {}};
    }
    if (shutting_down_) {
        return LateError{OptionReplyType::err_shutdown, "the server is being shut down"};
    }
    if (takes_no_data(option) && request.length != 0) {
        return LateError{
            OptionReplyType::err_invalid,
            fmt::format("{} takes no data, but {} bytes came with it", nbd::name(option), request.length)};
    }
    switch (option) {
    case Option::starttls:
        return LateError{OptionReplyType::err_unsup, "this server does not support TLS"};
    case Option::structured_reply:
        if (most_ == ReplyStyle::simple) {
            return LateError{OptionReplyType::err_unsup, "structured replies are switched off"};
        }
        if (style_ == ReplyStyle::extended) {
            return LateError{OptionReplyType::err_ext_header_reqd, "extended headers are already negotiated"};
        }
        return std::nullopt;
    case Option::extended_headers:
        if (most_ != ReplyStyle::extended) {
            return LateError{OptionReplyType::err_unsup, "extended headers are switched off"};
        }
        return std::nullopt;
    case Option::list_meta_context:
    case Option::set_meta_context:
        if (most_ == ReplyStyle::simple) {
            return LateError{OptionReplyType::err_unsup, "structured replies are switched off"};
        }
        break;
    case Option::list:
    case Option::info:
    case Option::go:
        break;
    default:
        return LateError{OptionReplyType::err_unsup, fmt::format("unknown option {}", nbd::name(option))};
    }
    if (request.length > max_option_payload) {
        return LateError{OptionReplyType::err_too_big, fmt::format("{} bytes are too much, the limit is {}",
                                                                   request.length, max_option_payload)};
    }
    return std::nullopt;
}

void Negotiation::answer(const nbd::OptionRequest& request, nbd::Bytes payload) {
    if (trace_) {
        trace_("> " + nbd::describe(request));
    }
    if (request.option == Option::export_name) {
        return answer_export_name(payload);
    }
    if (is_info(request.option)) {
        return answer_info(request, payload);
    }
    if (is_meta_context(request.option)) {
        answer_meta_context(request, payload);
    } else if (request.option == Option::list) {
        answer_list(request);
    } else {
        style_ = request.option == Option::extended_headers ? ReplyStyle::extended : ReplyStyle::structured;
        acknowledge(request.option);
    }
}

void Negotiation::answer_export_name(nbd::Bytes payload) {
    const std::string_view name = as_text(payload);
    auto [served, why_not] = is_protocol_string(name) ? find(name) : Found{nullptr, "its name is no text"};
    if (!served) {
        return close(
            fmt::format("the client asked for an unknown export, {}: {}", nbd::quoted(name), why_not));
    }
    if (served->options().require_block_size) {
        return close("the client did not ask for block sizes, which this export requires");
    }
    if (style_ > served->rules().knobs.replies) {
        return close("the client negotiated other replies than this export has");
    }
    const std::uint64_t size =
        served->has(Fault::handshake_size_stale) ? served->first_size() : served->size();
    const nbd::ExportNameReply message{size, transmission_flags(*served, name, std::nullopt)};
    output_.add_copy(nbd::encode(message));
    if ((*client_flags_ & nbd::client_flag::no_zeroes) == 0) {
        output_.add_zeroes(nbd::handshake_padding);
    }
    if (trace_) {
        trace_("> export name " + nbd::quoted(name));
        trace_("< " + nbd::describe(message));
    }
    agree(std::move(served), name, std::nullopt);
}

void Negotiation::answer_list(const nbd::OptionRequest& request) {
    for (const auto& served : catalogue_.list()) {
        reply(request.option, OptionReplyType::server,
              nbd::ServerReply{served->name(), served->options().description});
    }
    acknowledge(request.option);
}

void Negotiation::answer_info(const nbd::OptionRequest& request, nbd::Bytes payload) {
    const auto decoded = nbd::decode<nbd::InfoRequest>(payload);
    if (!decoded) {
        return reply_error(request.option, OptionReplyType::err_invalid, decoded.error().describe());
    }
    const nbd::InfoRequest& message = *decoded;
    if (trace_) {
        trace_(">   " + nbd::describe(message));
    }
    const std::string& name = message.export_name;
    if (!is_protocol_string(name)) {
        return reply_error(request.option, OptionReplyType::err_invalid,
                           "the export name is not a string of at most 4096 bytes of UTF-8 without NUL");
    }
    auto [served, why_not] = find(name);
    if (!served) {
        return reply_error(request.option, OptionReplyType::err_unknown,
                           fmt::format("there is no export {}: {}", nbd::quoted(name), why_not));
    }
    if (style_ > served->rules().knobs.replies) {
        return reply_error(
            request.option, OptionReplyType::err_policy,
            "the knob replies of this export allows less than was negotiated: connect again, and "
            "negotiate less");
    }
    const ExportOptions& options = served->options();
    const bool asked_block_size = wants(message, nbd::InfoType::block_size);
    if (options.advertise_block_size) {
        reply(request.option, OptionReplyType::info,
              nbd::InfoBlockSize{nbd::InfoType::block_size, options.block.minimum, options.block.preferred,
                                 options.block.maximum});
    }
    if (options.require_block_size && !asked_block_size) {
        return reply_error(request.option, OptionReplyType::err_block_size_reqd,
                           "ask for NBD_INFO_BLOCK_SIZE: this export has block sizes to keep to");
    }
    if (wants(message, nbd::InfoType::name)) {
        reply(request.option, OptionReplyType::info, nbd::InfoText{nbd::InfoType::name, served->name()});
    }
    if (wants(message, nbd::InfoType::description) && !options.description.empty()) {
        reply(request.option, OptionReplyType::info,
              nbd::InfoText{nbd::InfoType::description, options.description});
    }
    const std::uint64_t size =
        served->has(Fault::handshake_size_stale) ? served->first_size() : served->size();
    auto info = wants(message, nbd::InfoType::resize) || served->has(Fault::info_unasked)
                    ? served->resize_info(style_, size)
                    : std::nullopt;
    if (info && served->has(Fault::info_too_long)) {
        reply_long_info(request.option, *info);
    } else if (info) {
        reply(request.option, OptionReplyType::info, *info);
    }
    if (served->has(Fault::info_counts_without_go)) {
        info = told_info_ = info ? info : told_info_;
    }
    reply(request.option, OptionReplyType::info,
          nbd::InfoExport{nbd::InfoType::export_, size, transmission_flags(*served, name, info)});
    acknowledge(request.option);
    if (request.option == Option::go) {
        if (served->rules().knobs.advertise != Advertise::info) {
            info.reset(); // whatever a fault has told, such a configuration behaves as if it had not
        }
        agree(std::move(served), name, info);
    } else {
        most_ = std::min(options_.most, served->rules().knobs.replies);
    }
}

void Negotiation::answer_meta_context(const nbd::OptionRequest& request, nbd::Bytes payload) {
    const bool set = request.option == Option::set_meta_context;
    const auto decoded = nbd::decode<nbd::MetaContextRequest>(payload);
    if (!decoded) {
        return reply_error(request.option, OptionReplyType::err_invalid, decoded.error().describe());
    }
    const nbd::MetaContextRequest& message = *decoded;
    if (trace_) {
        trace_(">   " + nbd::describe(message));
    }
    if (set && style_ == ReplyStyle::simple) {
        return reply_error(request.option, OptionReplyType::err_invalid,
                           "negotiate structured replies or extended headers first");
    }
    const auto& queries = message.queries;
    if (!is_protocol_string(message.export_name) ||
        !std::all_of(queries.begin(), queries.end(),
                     [](const nbd::MetaContextQuery& query) { return is_protocol_string(query.query); })) {
        return reply_error(request.option, OptionReplyType::err_invalid,
                           "names and queries are strings of at most 4096 bytes of UTF-8 without NUL");
    }
    const auto [served, why_not] = find(message.export_name);
    if (!served) {
        return reply_error(
            request.option, OptionReplyType::err_unknown,
            fmt::format("there is no export {}: {}", nbd::quoted(message.export_name), why_not));
    }
    // Queries in other namespaces and unknown names in this one are to be ignored.
    const bool matches =
        std::any_of(queries.begin(), queries.end(), [set](const nbd::MetaContextQuery& query) {
            return query.query == nbd::base_allocation || (!set && query.query == "base:");
        });
    const bool everything = !set && queries.empty();
    if (served->options().features.block_status && (matches || everything)) {
        reply(request.option, OptionReplyType::meta_context,
              nbd::MetaContextReply{set ? allocation_id : 0, std::string(nbd::base_allocation)});
        if (set) {
            selected_ = SelectedContexts{message.export_name, {{allocation_id}}};
        }
    }
    acknowledge(request.option);
}

Found Negotiation::find(std::string_view name) const {
    Found found = catalogue_.find(name);
    if (found.served) {
        try {
            found.served->refresh();
        } catch (const std::system_error& error) {
            return {nullptr, error.what()};
        }
    }
    return found;
}

bool Negotiation::contexts_selected_for(std::string_view name) const {
    return selected_ && selected_->export_name == name;
}

std::uint16_t Negotiation::transmission_flags(const Export& served, std::string_view name,
                                              const std::optional<nbd::InfoResize>& info) const {
    unsigned flags = served.transmission_flags();
    if (style_ != ReplyStyle::simple && served.options().features.df) {
        flags |= nbd::transmission_flag::send_df;
    }
    if (style_ == ReplyStyle::extended && contexts_selected_for(name)) {
        flags |= nbd::transmission_flag::block_status_payload;
    }
    constexpr unsigned learning = nbd::resize_capability::query | nbd::resize_capability::notify;
    const bool accepts = served.grows_on_request() || (info && (info->capabilities & learning) != 0);
    if ((accepts && !served.has(Fault::flag_never)) || served.has(Fault::flag_always)) {
        flags |= nbd::transmission_flag::send_resize;
    }
    return static_cast<std::uint16_t>(flags);
}

void Negotiation::agree(std::shared_ptr<Export> served, std::string_view name,
                        std::optional<nbd::InfoResize> info) {
    agreement_.told_size = served->size();
    agreement_.transmission_flags = transmission_flags(*served, name, info);
    agreement_.served = std::move(served);
    agreement_.style = style_;
    agreement_.resize_info = info;
    if (contexts_selected_for(name)) {
        agreement_.contexts = selected_->contexts;
    }
    state_ = State::agreed;
}

void Negotiation::close(std::string reason) {
    state_ = State::closed;
    reason_ = std::move(reason);
}

template <class Payload>
void Negotiation::reply(Option option, OptionReplyType type, const Payload& payload) {
    const nbd::Buffer bytes = nbd::encode(payload);
    const nbd::OptionReply header{option, type, static_cast<std::uint32_t>(bytes.size())};
    output_.add_copy(nbd::encode(header));
    output_.add_copy(bytes);
    if (trace_) {
        trace_("< " + nbd::describe(header));
        trace_("<   " + nbd::describe(payload));
    }
}

void Negotiation::reply_long_info(Option option, const nbd::InfoResize& info) {
    nbd::Buffer bytes = nbd::encode(info);
    bytes.resize(bytes.size() + 4);
    output_.add_copy(nbd::encode(
        nbd::OptionReply{option, OptionReplyType::info, static_cast<std::uint32_t>(bytes.size())}));
    output_.add_copy(bytes);
}

void Negotiation::acknowledge(Option option) {
    const nbd::OptionReply header{option, OptionReplyType::ack, 0};
    output_.add_copy(nbd::encode(header));
    if (trace_) {
        trace_("< " + nbd::describe(header));
    }
}

void Negotiation::reply_error(Option option, OptionReplyType type, std::string_view message) {
    const std::string_view text = message.substr(0, nbd::max_string);
    const nbd::OptionReply header{option, type, static_cast<std::uint32_t>(text.size())};
    output_.add_copy(nbd::encode(header));
    output_.add_copy({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    if (trace_) {
        trace_(fmt::format("< {} ({})", nbd::describe(header), text));
    }
}

} // namespace refserver
