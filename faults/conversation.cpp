#include "faults/conversation.hpp"

#include <algorithm>

namespace faults {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

/// The request without its data.
Request header_of(const Request& request) {
    Request header = request;
    header.payload.clear();
    return header;
}

void forget(OpenRequests& requests, std::uint64_t cookie) {
    const auto found = requests.lower_bound(cookie);
    if (found != requests.end() && found->first == cookie) {
        requests.erase(found);
    }
}

/// The string behind its 32-bit length at the start of the data.
std::string leading_text(const nbd::Buffer& data) {
    if (data.size() < sizeof(std::uint32_t)) {
        return {};
    }
    const auto length = nbd::detail::load_big<std::uint32_t>(data.data());
    const auto begin = data.begin() + sizeof(std::uint32_t);
    const auto there = static_cast<std::uint64_t>(data.end() - begin);
    return {begin, begin + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(length, there))};
}

struct Hearing {
    Conversation& told;

    void operator()(const Greeting& greeting) const {
        told.greeting = greeting;
        if (greeting.oldstyle) {
            told.size = greeting.size;
            told.flags = greeting.transmission_flags;
        }
    }
    void operator()(const ClientFlags& flags) const { told.client_flags = flags.flags; }
    void operator()(const OptionRequest& option) const {
        told.option = option;
        ++told.options;
        if (auto name = name_in(option); !name.empty()) {
            told.export_name = std::move(name);
        }
    }
    void operator()(const OptionReply& reply) const {
        if (reply.type != OptionReplyType::info) {
            return;
        }
        const auto told_export = payload_as<nbd::InfoExport>(reply.payload);
        if (told_export && told_export->type == nbd::InfoType::export_) {
            told.size = told_export->size;
            told.flags = told_export->transmission_flags;
        }
        const auto block = payload_as<nbd::InfoBlockSize>(reply.payload);
        if (block && block->type == nbd::InfoType::block_size) {
            told.block = *block;
        }
    }
    void operator()(const ExportReply& reply) const {
        told.size = reply.size;
        told.flags = reply.flags;
        told.awaits_export_reply = false;
    }
    void operator()(const Request& request) const {
        ++told.requests;
        if (request.type != nbd::Command::disc) {
            told.asked.emplace(request.cookie, header_of(request));
        }
    }
    void operator()(const Reply& reply) const { forget(told.delivered, reply.cookie); }
    void operator()(const Chunk& chunk) const {
        if (chunk.done()) {
            forget(told.delivered, chunk.cookie);
        }
    }
    void operator()(const Raw& /*raw*/) const {}
};

struct Passing {
    Conversation& told;

    void operator()(const Greeting& greeting) const {
        told.oldstyle = greeting.oldstyle;
        told.transmission = greeting.oldstyle;
    }
    void operator()(const ClientFlags& flags) const {
        told.no_zeroes = (flags.flags & nbd::client_flag::no_zeroes) != 0;
    }
    void operator()(const OptionRequest& option) const {
        if (option.option == Option::export_name) {
            told.awaits_export_reply = true;
        } else if (option.option == Option::set_meta_context) {
            told.contexts.clear();
        }
    }
    void operator()(const OptionReply& reply) const {
        if (reply.type == OptionReplyType::meta_context && reply.option == Option::set_meta_context) {
            if (const auto context = payload_as<nbd::MetaContextReply>(reply.payload)) {
                told.contexts.push_back({context->id, context->context});
            }
        }
        if (reply.type != OptionReplyType::ack) {
            return;
        }
        told.structured = told.structured || reply.option == Option::structured_reply;
        told.extended = told.extended || reply.option == Option::extended_headers;
        told.tls = told.tls || reply.option == Option::starttls;
        told.transmission = told.transmission || reply.option == Option::go;
    }
    void operator()(const ExportReply& /*reply*/) const { told.transmission = true; }
    void operator()(const Request& request) const {
        told.delivered.emplace(request.cookie, header_of(request));
    }
    void operator()(const Reply& reply) const { forget(told.asked, reply.cookie); }
    void operator()(const Chunk& chunk) const {
        if (chunk.done()) {
            forget(told.asked, chunk.cookie);
        }
    }
    void operator()(const Raw& /*raw*/) const {}
};

} // namespace

void Conversation::heard(const Message& message) {
    std::visit(Hearing{*this}, message);
}

void Conversation::passed(const Message& message) {
    std::visit(Passing{*this}, message);
}

std::string name_in(const OptionRequest& option) {
    switch (option.option) {
    case Option::export_name:
        return {option.payload.begin(), option.payload.end()};
    case Option::info:
    case Option::go:
    case Option::list_meta_context:
    case Option::set_meta_context:
        return leading_text(option.payload);
    default:
        return {};
    }
}

} // namespace faults
