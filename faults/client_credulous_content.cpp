// Faults of clients that accept what is wrong with the content of replies to reads and block status
// (Structured reply types, NBD_CMD_READ, NBD_CMD_BLOCK_STATUS). They mend what the server sends before the
// client sees it.

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace faults {
namespace {

using nbd::ChunkType;
using nbd::Command;

/// Handles chunks with content, and the ends of replies, with what came before.
template <class Content, class End>
Recipe with_content(Content content, End end) {
    return twist_with(Came(), [content, end](Came& came, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request || request->type != Command::read) {
            return;
        }
        if (const auto range = content_of(chunk)) {
            content(came, *range, *request, chunk, flow);
        }
        if (chunk.done()) {
            end(came, *request, chunk, flow);
            came.forget(request->cookie);
        }
    });
}

constexpr auto note = [](Came& came, const Range& range, const Request& request, Chunk& /*chunk*/,
                         Flow& /*flow*/) { (void)came.add(request.cookie, range); };

/// Fills up what is missing when a reply ends as a success.
constexpr auto fill = [](Came& came, const Request& request, Chunk& chunk, Flow& flow) {
    if (nbd::is_error(chunk.type)) {
        return;
    }
    chunk.flags &= static_cast<std::uint16_t>(~nbd::reply_flag::done);
    if (chunk.type == ChunkType::none) {
        flow.drop();
    } else {
        flow.forward();
    }
    make_success(flow, request, came);
};

constexpr auto leave_it = [](Came& /*came*/, const Request& /*request*/, Chunk& /*chunk*/, Flow& /*flow*/) {};

/// The same chunk without content: nothing, or the end of the reply.
void make_empty(Chunk& chunk, Flow& flow) {
    if (!chunk.done()) {
        return flow.drop();
    }
    chunk.type = ChunkType::none;
    chunk.payload.clear();
}

/// Ignores content beside the request, and takes what is missing for zeroes.
Recipe content_outside() {
    return with_content(
        [](Came& came, const Range& range, const Request& request, Chunk& chunk, Flow& flow) {
            if (range.begin >= request.offset && range.end <= request.offset + request.length) {
                (void)came.add(request.cookie, range);
            } else {
                make_empty(chunk, flow);
            }
        },
        fill);
}

Recipe content_overlapping() {
    return with_content(
        [](Came& came, const Range& range, const Request& request, Chunk& chunk, Flow& flow) {
            if (!came.add(request.cookie, range)) {
                make_empty(chunk, flow);
            }
        },
        leave_it);
}

/// Takes a read for done when all its bytes are there.
Recipe content_without_end() {
    return with_content(
        [](Came& came, const Range& range, const Request& request, Chunk& chunk, Flow& /*flow*/) {
            (void)came.add(request.cookie, range);
            if (came.missing(request).empty()) {
                chunk.flags |= nbd::reply_flag::done;
            }
        },
        leave_it);
}

/// After an error the rest of a read comes as zeroes.
Recipe partial_read() {
    return twist_with(Came(), [](Came& came, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request || request->type != Command::read) {
            return;
        }
        if (const auto range = content_of(chunk)) {
            (void)came.add(chunk.cookie, *range);
        } else if (nbd::is_error(chunk.type) && !came.nothing(chunk.cookie)) {
            flow.drop();
            if (chunk.done()) {
                make_success(flow, *request, came);
            }
        }
        if (chunk.done()) {
            came.forget(chunk.cookie);
        }
    });
}

/// Ignores content of 0 bytes, and data that are too short to have an offset.
Recipe empty_content() {
    return twist([](Chunk& chunk, Flow& flow) {
        const bool data = chunk.type == ChunkType::offset_data || chunk.type == ChunkType::offset_hole;
        const auto range = content_of(chunk);
        if (data && (!range || range->begin == range->end)) {
            make_empty(chunk, flow);
        }
    });
}

Recipe odd_hole() {
    return twist([](Chunk& chunk) {
        if (chunk.type == ChunkType::offset_hole) {
            chunk.payload.resize(nbd::wire_size<nbd::OffsetHole>);
        }
    });
}

/// Cuts a status chunk to whole extents.
Recipe odd_status() {
    return twist([](Chunk& chunk) {
        const bool wide = chunk.type == ChunkType::block_status_ext;
        if (!wide && chunk.type != ChunkType::block_status) {
            return;
        }
        const std::size_t head = wide ? 8 : 4;
        const std::size_t extent = wide ? 16 : 8;
        const std::size_t size = chunk.payload.size();
        chunk.payload.resize(size < head ? head : size - (size - head) % extent);
        if (wide) {
            const auto count = static_cast<std::uint32_t>((chunk.payload.size() - head) / extent);
            nbd::detail::store_big(chunk.payload.data() + 4, count);
        }
    });
}

/// Changes a well-formed status chunk; `edit` takes the status and the request.
template <class Edit>
Recipe on_status(Edit edit) {
    return twist([edit](Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request) {
            return;
        }
        if (chunk.type == ChunkType::block_status) {
            if (auto status = payload_as<nbd::BlockStatus>(chunk.payload)) {
                edit(*status, *request, flow.told());
                chunk.payload = nbd::encode(*status);
            }
        } else if (chunk.type == ChunkType::block_status_ext) {
            if (auto status = payload_as<nbd::BlockStatusExt>(chunk.payload)) {
                edit(*status, *request, flow.told());
                chunk.payload = nbd::encode(*status);
            }
        }
    });
}

bool is_status(const Chunk& chunk) {
    return chunk.type == ChunkType::block_status || chunk.type == ChunkType::block_status_ext;
}

/// Ignores all status chunks of a reply but the first of each context.
Recipe context_twice() {
    using Seen = std::set<std::pair<std::uint64_t, std::uint32_t>>;
    return twist_with(Seen(), [](Seen& seen, Chunk& chunk, Flow& flow) {
        if (is_status(chunk) && chunk.payload.size() >= sizeof(std::uint32_t)) {
            const auto context = nbd::detail::load_big<std::uint32_t>(chunk.payload.data());
            if (!seen.emplace(chunk.cookie, context).second) {
                make_empty(chunk, flow);
            }
        }
        if (chunk.done()) {
            std::erase_if(seen, [&](const auto& one) { return one.first == chunk.cookie; });
        }
    });
}

/// Takes the contexts that a block status does not tell of for data.
Recipe status_missing() {
    return twist_with(Came(), [](Came& came, Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (!request || request->type != Command::block_status) {
            return;
        }
        if (chunk.type != ChunkType::none) {
            (void)came.add(chunk.cookie, {});
        } else if (came.nothing(chunk.cookie)) {
            flow.drop();
            make_success(flow, *request, came);
        }
        if (chunk.done()) {
            came.forget(chunk.cookie);
        }
    });
}

} // namespace

Table client_credulous_content_faults() {
    return {
        {"accept-missing-content", "READ-COMPLETE-CHECKED",
         "takes what is missing of a read that has succeeded for zeroes", with_content(note, fill)},
        {"accept-missing-done", "DONE-CHECKED",
         "takes a read for done when all its bytes are there, without NBD_REPLY_FLAG_DONE",
         content_without_end()},
        {"accept-partial-content", "ERROR-NO-PARTIAL",
         "takes the data that came before an error, and zeroes for the rest", partial_read()},
        {"accept-content-outside", "CHUNK-INCONSISTENT", "ignores content beside what it wanted to read",
         content_outside()},
        {"accept-content-overlap", "CHUNK-INCONSISTENT", "ignores content that overlaps what came before",
         content_overlapping()},
        {"accept-empty-content", "CHUNK-INCONSISTENT", "ignores chunks with content of 0 bytes",
         empty_content()},
        {"accept-odd-hole", "CHUNK-INCONSISTENT", "takes NBD_REPLY_TYPE_OFFSET_HOLE of any length",
         odd_hole()},
        {"accept-odd-status", "CHUNK-INCONSISTENT", "ignores part of an extent at the end of a status chunk",
         odd_status()},
        {"accept-unselected-context", "CHUNK-INCONSISTENT",
         "takes the status of a context that it did not select for that of its own",
         on_status([](auto& status, const Request& /*request*/, const Conversation& told) {
             if (!told.contexts.empty() && std::ranges::find(told.contexts, status.context,
                                                             &SelectedContext::id) == told.contexts.end()) {
                 status.context = told.contexts.front().id;
             }
         })},
        {"accept-context-twice", "CHUNK-INCONSISTENT", "ignores a second status chunk of the same context",
         context_twice()},
        {"accept-empty-extents", "CHUNK-INCONSISTENT", "ignores extents of 0 bytes",
         on_status([](auto& status, const Request& /*request*/, const Conversation& /*told*/) {
             std::erase_if(status.descriptors, [](const auto& extent) { return extent.length == 0; });
         })},
        {"accept-extents-behind-one", "CHUNK-INCONSISTENT",
         "ignores all extents but the first with NBD_CMD_FLAG_REQ_ONE",
         on_status([](auto& status, const Request& request, const Conversation& /*told*/) {
             if ((request.flags & nbd::command_flag::req_one) != 0 && !status.descriptors.empty()) {
                 status.descriptors.resize(1);
             }
         })},
        {"accept-missing-status", "STATUS-COMPLETE-CHECKED",
         "takes a block status that tells of no context for data", status_missing()},
    };
}

} // namespace faults
