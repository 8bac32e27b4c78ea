#include "reference-client/payload_text.hpp"

#include "protocol/describe.hpp"
#include "protocol/resize.hpp"

#include <fmt/format.h>

namespace refclient {
namespace {

template <class M>
std::string text_of(nbd::Bytes payload) {
    const nbd::Decoded<M> message = nbd::decode<M>(payload);
    return message ? nbd::describe(message.value())
                   : fmt::format("{}: malformed, {}", M::title, message.error().describe());
}

std::string info_text(nbd::Bytes payload) {
    if (payload.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        return text_of<nbd::InfoReplyStart>(payload);
    }
    const nbd::InfoType type = nbd::decode_prefix<nbd::InfoReplyStart>(payload).value().type;
    switch (type) {
    case nbd::InfoType::export_:
        return text_of<nbd::InfoExport>(payload);
    case nbd::InfoType::name:
    case nbd::InfoType::description:
        return text_of<nbd::InfoText>(payload);
    case nbd::InfoType::block_size:
        return text_of<nbd::InfoBlockSize>(payload);
    case nbd::InfoType::resize:
        return text_of<nbd::InfoResize>(payload);
    }
    return fmt::format("{} of {} bytes", nbd::name(type), payload.size());
}

} // namespace

std::string payload_text(const nbd::OptionReply& reply, nbd::Bytes payload) {
    switch (reply.type) {
    case nbd::OptionReplyType::server:
        return text_of<nbd::ServerReply>(payload);
    case nbd::OptionReplyType::info:
        return info_text(payload);
    case nbd::OptionReplyType::meta_context:
        return text_of<nbd::MetaContextReply>(payload);
    default:
        return text_of<nbd::OptionErrorReply>(payload);
    }
}

std::string payload_text(const nbd::Chunk& chunk, nbd::Bytes payload) {
    switch (chunk.type) {
    case nbd::ChunkType::offset_data:
        return text_of<nbd::OffsetData>(payload);
    case nbd::ChunkType::offset_hole:
        return text_of<nbd::OffsetHole>(payload);
    case nbd::ChunkType::block_status:
        return text_of<nbd::BlockStatus>(payload);
    case nbd::ChunkType::block_status_ext:
        return text_of<nbd::BlockStatusExt>(payload);
    case nbd::ChunkType::resize:
        return text_of<nbd::ResizeChunk>(payload);
    case nbd::ChunkType::error_offset:
        return text_of<nbd::ErrorOffsetChunk>(payload);
    default:
        return text_of<nbd::AnyErrorChunk>(payload);
    }
}

} // namespace refclient
