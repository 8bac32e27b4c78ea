// Further faults of clients that drop the connection at what they have to put up with: servers that tell more
// or less than most of them, and content that comes in other pieces.

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

std::optional<InfoType> info_type(const OptionReply& reply) {
    if (reply.type != OptionReplyType::info || reply.payload.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        return std::nullopt;
    }
    return nbd::decode_prefix<nbd::InfoReplyStart>(reply.payload).value().type;
}

/// Drops the connection when it sees a message of which this is true.
template <class Message, class Unbearable>
Recipe leaves_at(Unbearable unbearable) {
    return twist([unbearable](Message& message, Flow& flow) {
        if (unbearable(message, flow.told())) {
            flow.hang_up();
        }
    });
}

/// What was asked for of an export, and what is not told yet.
struct Asked {
    std::set<InfoType> types;
    std::set<InfoType> left;
};

constexpr auto note_asked = [](Asked& asked, OptionRequest& option) {
    asked = {};
    edit_info(option, [&](nbd::InfoRequest& data) {
        asked.types = {data.requests.begin(), data.requests.end()};
    });
    asked.left = asked.types;
};

/// Information that was not asked for, apart from that about the export, which always comes.
Recipe unasked_information() {
    return twist_with(Asked(), note_asked, [](Asked& asked, OptionReply& reply, Flow& flow) {
        const auto type = info_type(reply);
        if (type && *type != InfoType::export_ && !asked.types.contains(*type)) {
            flow.hang_up();
        }
    });
}

/// Block sizes that were asked for and are not told.
Recipe untold_block_sizes() {
    return twist_with(Asked(), note_asked, [](Asked& asked, OptionReply& reply, Flow& flow) {
        if (const auto type = info_type(reply)) {
            asked.left.erase(*type);
        }
        if (reply.type == OptionReplyType::ack && asked.left.contains(InfoType::block_size)) {
            flow.hang_up();
        }
    });
}

/// More chunks in a reply than this client has room for.
Recipe many_chunks() {
    using Counts = std::map<std::uint64_t, int>;
    return twist_with(Counts(), [](Counts& counts, Chunk& chunk, Flow& flow) {
        constexpr int most = 16;
        if (++counts[chunk.cookie] > most) {
            return flow.hang_up();
        }
        if (chunk.done()) {
            counts.erase(chunk.cookie);
        }
    });
}

} // namespace

Table client_fastidious_faults() {
    return {
        {"refuse-unasked-information", "HANDSHAKE-COMPLETES",
         "leaves when information comes that it did not ask for", unasked_information()},
        {"refuse-untold-block-sizes", "HANDSHAKE-COMPLETES",
         "leaves when it asks for block sizes and is told none", untold_block_sizes()},
        {"refuse-other-name", "HANDSHAKE-COMPLETES",
         "leaves when the export has another canonical name than it asked for",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& told) {
             const auto name = payload_as<nbd::InfoText>(reply.payload);
             return info_type(reply) == InfoType::name && name && name->text != told.export_name;
         })},
        {"refuse-large-blocks", "BLOCK-SIZE-GO", "leaves at a preferred block size of more than 64 KiB",
         leaves_at<OptionReply>([](const OptionReply& reply, const Conversation& /*told*/) {
             constexpr std::uint32_t most = 65536;
             const auto block = payload_as<nbd::InfoBlockSize>(reply.payload);
             return info_type(reply) == InfoType::block_size && block && block->preferred > most;
         })},
        {"refuse-many-chunks", "CONTENT-REASSEMBLED", "leaves when a reply has more than 16 chunks",
         many_chunks()},
        {"refuse-holes", "CONTENT-REASSEMBLED", "leaves when content comes as a hole",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             return chunk.type == ChunkType::offset_hole;
         })},
        {"refuse-zeroes", "CONTENT-REASSEMBLED", "leaves when content comes as data that are all zeroes",
         leaves_at<Chunk>([](const Chunk& chunk, const Conversation& /*told*/) {
             constexpr std::ptrdiff_t head = sizeof(std::uint64_t);
             return chunk.type == ChunkType::offset_data && chunk.payload.size() > head &&
                    std::all_of(chunk.payload.begin() + head, chunk.payload.end(),
                                [](std::uint8_t byte) { return byte == 0; });
         })},
    };
}

} // namespace faults
