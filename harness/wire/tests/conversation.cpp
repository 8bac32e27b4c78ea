#include "harness/wire/tests/conversation.hpp"

#include <fmt/format.h>

namespace wire {

Conversation& Conversation::client(const nbd::Buffer& bytes) {
    judge_.feed(Side::client, bytes);
    return *this;
}

Conversation& Conversation::server(const nbd::Buffer& bytes) {
    judge_.feed(Side::server, bytes);
    return *this;
}

Conversation& Conversation::client_ends(End how) {
    judge_.end(Side::client, how);
    return *this;
}

Conversation& Conversation::server_ends(End how) {
    judge_.end(Side::server, how);
    return *this;
}

Conversation& Conversation::greeting(std::uint16_t flags) {
    return from_server(nbd::NewstyleGreeting{flags});
}

Conversation& Conversation::client_flags(std::uint32_t flags) {
    return from_client(nbd::ClientFlags{flags});
}

Conversation& Conversation::option(nbd::Option option, const nbd::Buffer& data) {
    from_client(nbd::OptionRequest{option, static_cast<std::uint32_t>(data.size())});
    return client(data);
}

Conversation& Conversation::option_header(nbd::Option option, std::uint32_t length) {
    from_client(nbd::OptionRequest{option, length});
    return *this;
}

Conversation& Conversation::reply(nbd::Option option, nbd::OptionReplyType type, const nbd::Buffer& data) {
    if (option == nbd::Option::extended_headers && type == nbd::OptionReplyType::ack) {
        style_ = nbd::HeaderStyle::extended;
    }
    from_server(nbd::OptionReply{option, type, static_cast<std::uint32_t>(data.size())});
    return server(data);
}

nbd::Buffer Conversation::ask(std::vector<nbd::InfoType> types, const std::string& name) {
    return nbd::encode(nbd::InfoRequest{name, std::move(types)});
}

nbd::Buffer Conversation::queries(const std::vector<std::string>& texts, const std::string& name) {
    nbd::MetaContextRequest request{name, {}};
    for (const std::string& text : texts) {
        request.queries.push_back({text});
    }
    return nbd::encode(request);
}

Conversation& Conversation::context(nbd::Option option, std::uint32_t id, const std::string& name) {
    return reply(option, nbd::OptionReplyType::meta_context, nbd::encode(nbd::MetaContextReply{id, name}));
}

Conversation& Conversation::go(const ExportTraits& traits) {
    if (!traits.contexts.empty()) {
        std::vector<std::string> texts;
        for (const auto& [id, name] : traits.contexts) {
            texts.push_back(name);
        }
        option(nbd::Option::set_meta_context, queries(texts));
        for (const auto& [id, name] : traits.contexts) {
            context(nbd::Option::set_meta_context, id, name);
        }
        ack(nbd::Option::set_meta_context);
    }
    std::vector<nbd::InfoType> types;
    if (traits.block && traits.ask_block) {
        types.push_back(nbd::InfoType::block_size);
    }
    if (traits.resize) {
        types.push_back(nbd::InfoType::resize);
    }
    option(nbd::Option::go, ask(types));
    const std::uint16_t flags = traits.flags | nbd::transmission_flag::has_flags;
    info(nbd::Option::go, nbd::InfoExport{nbd::InfoType::export_, traits.size, flags});
    if (traits.block) {
        info(nbd::Option::go, *traits.block);
    }
    if (traits.resize) {
        info(nbd::Option::go, *traits.resize);
    }
    return ack(nbd::Option::go);
}

Conversation& Conversation::request(nbd::Command command, std::uint64_t offset, std::uint64_t length,
                                    std::uint16_t flags) {
    return request_as(cookie_ + 1, command, offset, length, flags);
}

Conversation& Conversation::request_as(std::uint64_t cookie, nbd::Command command, std::uint64_t offset,
                                       std::uint64_t length, std::uint16_t flags) {
    cookie_ = cookie;
    offset_ = offset;
    nbd::Request request{flags, command, cookie, offset, length};
    if (style_ == nbd::HeaderStyle::extended && command == nbd::Command::write) {
        request.flags |= nbd::command_flag::payload_len;
    }
    nbd::Buffer bytes;
    nbd::encode_request_to(bytes, request, style_);
    if (command == nbd::Command::write) {
        bytes.resize(bytes.size() + nbd::payload_length(request, style_));
    }
    return client(bytes);
}

Conversation& Conversation::done(nbd::Error error, std::size_t data) {
    from_server(nbd::SimpleReply{error, cookie_});
    return server(nbd::Buffer(data));
}

Conversation& Conversation::chunk(nbd::ChunkType type, bool last, const nbd::Buffer& payload) {
    const std::uint16_t flags = last ? nbd::reply_flag::done : 0;
    nbd::Buffer bytes;
    nbd::encode_chunk_to(bytes, {flags, type, cookie_, offset_, payload.size()}, style_);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return server(bytes);
}

Conversation& Conversation::data(std::uint64_t offset, std::size_t length, bool last) {
    nbd::Buffer payload = nbd::encode(nbd::OffsetData{offset});
    payload.resize(payload.size() + length);
    return chunk(nbd::ChunkType::offset_data, last, payload);
}

Conversation& Conversation::hole(std::uint64_t offset, std::uint32_t length, bool last) {
    return chunk(nbd::ChunkType::offset_hole, last, nbd::encode(nbd::OffsetHole{offset, length}));
}

Conversation& Conversation::error(nbd::Error error, bool last, const std::string& message) {
    return chunk(nbd::ChunkType::error, last, nbd::encode(nbd::ErrorChunk{error, message}));
}

Conversation& Conversation::error_at(nbd::Error error, std::uint64_t offset, bool last) {
    return chunk(nbd::ChunkType::error_offset, last, nbd::encode(nbd::ErrorOffsetChunk{error, "", offset}));
}

Conversation& Conversation::status(std::uint32_t context, std::vector<nbd::StatusDescriptor> extents,
                                   bool last) {
    return chunk(nbd::ChunkType::block_status, last,
                 nbd::encode(nbd::BlockStatus{context, std::move(extents)}));
}

Conversation& Conversation::status_ext(std::uint32_t context, std::vector<nbd::StatusDescriptorExt> extents,
                                       bool last) {
    return chunk(nbd::ChunkType::block_status_ext, last,
                 nbd::encode(nbd::BlockStatusExt{context, std::move(extents)}));
}

Conversation& Conversation::size(std::uint64_t bytes, std::uint32_t flags, bool last) {
    return chunk(nbd::ChunkType::resize, last, nbd::encode(nbd::ResizeChunk{bytes, flags}));
}

Conversation& Conversation::leave() {
    return request(nbd::Command::disc, 0, 0).server_ends().client_ends();
}

std::string Conversation::told() const {
    std::string text;
    for (const Violation& violation : violations_) {
        text += fmt::format("{} by the {}: {}\n", violation.requirement, name(violation.by), violation.what);
    }
    return text + (judge_.lost().empty() ? "" : fmt::format("(not judged further: {})\n", judge_.lost()));
}

} // namespace wire
