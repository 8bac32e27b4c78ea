#include "faults/answers.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace faults {

using nbd::Command;

namespace ask = nbd::command_flag;

namespace {

/// A read that is answered here has at most this many bytes, whatever the client asks for.
constexpr std::uint64_t most_data = std::uint64_t{64} << 20;

} // namespace

OptionReply option_reply(nbd::Option option, nbd::OptionReplyType type, nbd::Buffer payload) {
    OptionReply reply;
    reply.option = option;
    reply.type = type;
    reply.payload = std::move(payload);
    return reply;
}

OptionReply option_reply(nbd::Option option, nbd::OptionReplyType type, std::string_view text) {
    return option_reply(option, type, nbd::Buffer(text.begin(), text.end()));
}

Chunk chunk(const Conversation& told, const Request& request, nbd::ChunkType type, nbd::Buffer payload,
            bool last) {
    Chunk made;
    made.style = told.style();
    made.magic = told.extended ? nbd::extended_reply_magic : nbd::structured_reply_magic;
    made.flags = last ? nbd::reply_flag::done : std::uint16_t{0};
    made.type = type;
    made.cookie = request.cookie;
    made.offset = request.offset;
    made.payload = std::move(payload);
    return made;
}

Chunk data_chunk(const Conversation& told, const Request& request, std::uint64_t offset,
                 const nbd::Buffer& data, bool last) {
    nbd::Buffer payload = nbd::encode(nbd::OffsetData{offset});
    payload.insert(payload.end(), data.begin(), data.end());
    return chunk(told, request, nbd::ChunkType::offset_data, std::move(payload), last);
}

Chunk error_chunk(const Conversation& told, const Request& request, nbd::Error error, bool last,
                  std::string_view text) {
    return chunk(told, request, nbd::ChunkType::error, nbd::encode(nbd::ErrorChunk{error, std::string(text)}),
                 last);
}

Chunk status_chunk(const Conversation& told, const Request& request, std::uint64_t length, bool last) {
    const std::uint32_t id = told.contexts.empty() ? 1 : told.contexts.front().id;
    if (told.extended) {
        return chunk(told, request, nbd::ChunkType::block_status_ext,
                     nbd::encode(nbd::BlockStatusExt{id, {{length, 0}}}), last);
    }
    return chunk(told, request, nbd::ChunkType::block_status,
                 nbd::encode(nbd::BlockStatus{id, {{static_cast<std::uint32_t>(length), 0}}}), last);
}

Message success(const Conversation& told, const Request& request) {
    if (told.chunks()) {
        return chunk(told, request, nbd::ChunkType::none, {}, true);
    }
    return Reply{nbd::simple_reply_magic, nbd::Error::none, request.cookie};
}

Message failure(const Conversation& told, const Request& request, nbd::Error error) {
    if (told.chunks()) {
        return error_chunk(told, request, error, true);
    }
    return Reply{nbd::simple_reply_magic, error, request.cookie};
}

Message content(const Conversation& told, const Request& request, nbd::Buffer data) {
    if (told.chunks() && data.empty()) {
        return success(told, request);
    }
    if (told.chunks()) {
        return data_chunk(told, request, request.offset, data, true);
    }
    return Reply{nbd::simple_reply_magic, nbd::Error::none, request.cookie, std::move(data)};
}

Message any_success(const Conversation& told, const Request& request, std::uint8_t fill) {
    if (request.type == nbd::Command::read) {
        return content(told, request,
                       nbd::Buffer(static_cast<std::size_t>(std::min(request.length, most_data)), fill));
    }
    return success(told, request);
}

OptionRequest renamed(const OptionRequest& option, const std::string& name) {
    OptionRequest other = option;
    const auto rename = [&]<class M>(std::optional<M> request) {
        if (request) {
            request->export_name = name;
            other.payload = nbd::encode(*request);
        }
    };
    switch (option.option) {
    case nbd::Option::export_name:
        other.payload.assign(name.begin(), name.end());
        break;
    case nbd::Option::list_meta_context:
    case nbd::Option::set_meta_context:
        rename(payload_as<nbd::MetaContextRequest>(option.payload));
        break;
    case nbd::Option::info:
    case nbd::Option::go:
        rename(payload_as<nbd::InfoRequest>(option.payload));
        break;
    default:
        break;
    }
    return other;
}

nbd::Buffer part(const nbd::Buffer& data, std::size_t from, std::size_t to) {
    return {data.begin() + static_cast<std::ptrdiff_t>(from), data.begin() + static_cast<std::ptrdiff_t>(to)};
}

bool past_end(const Conversation& told, const Request& request) {
    return request.offset > told.size || request.length > told.size - request.offset;
}

bool flag_misplaced(const Request& request) {
    const bool zeroes = request.type == Command::write_zeroes;
    return ((request.flags & (ask::no_hole | ask::fast_zero)) != 0 && !zeroes) ||
           ((request.flags & ask::df) != 0 && request.type != Command::read) ||
           ((request.flags & ask::req_one) != 0 && request.type != Command::block_status);
}

std::uint16_t known_command_flags() {
    return ask::fua | ask::no_hole | ask::df | ask::req_one | ask::fast_zero | ask::payload_len |
           ask::extend | ask::query | ask::notify | ask::cancel;
}

bool is_sound(const Conversation& told, const Request& request) {
    const bool read_only = (told.flags & nbd::transmission_flag::read_only) != 0;
    return request.type <= Command::block_status && !past_end(told, request) && !flag_misplaced(request) &&
           (request.flags & ~known_command_flags()) == 0 && !(read_only && changes_disk(request.type)) &&
           (request.type != Command::block_status || !told.contexts.empty());
}

bool changes_disk(nbd::Command command) {
    return command == nbd::Command::write || command == nbd::Command::trim ||
           command == nbd::Command::write_zeroes;
}

} // namespace faults
