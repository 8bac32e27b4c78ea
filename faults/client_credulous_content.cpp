// Faults of clients that accept what is wrong with the content of replies to reads and block status
// (Structured reply types, NBD_CMD_READ, NBD_CMD_BLOCK_STATUS). They mend what the server sends before the
// client sees it.

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>

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
        {"accept-missing-content", "READ-COVERED",
         "takes what is missing of a read that has succeeded for zeroes", with_content(note, fill)},
        {"accept-partial-content", "ERROR-NO-PARTIAL",
         "takes the data that came before an error, and zeroes for the rest", partial_read()},
        {"accept-content-outside", "CHUNK-INCONSISTENT", "ignores content beside what it wanted to read",
         content_outside()},
        {"accept-unselected-context", "STATUS-CONTEXT",
         "takes the status of a context that it did not select for that of its own",
         on_status([](auto& status, const Request& /*request*/, const Conversation& told) {
             if (!told.contexts.empty() && std::ranges::find(told.contexts, status.context,
                                                             &SelectedContext::id) == told.contexts.end()) {
                 status.context = told.contexts.front().id;
             }
         })},
        {"accept-missing-status", "STATUS-ALL-CONTEXTS",
         "takes a block status that tells of no context for data", status_missing()},
    };
}

} // namespace faults
