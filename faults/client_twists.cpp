#include "faults/client_twists.hpp"

#include "faults/answers.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <utility>

namespace faults {
namespace {

/// A read that is answered here gets at most this many zeroes, whatever the client asks for.
constexpr std::uint64_t most_zeroes = std::uint64_t{64} << 20;

/// An option that is asked aside.
struct Asking {
    bool asked = false;
    std::optional<OptionRequest> held; ///< the client's, until the answer is there
};

/// A request that is sent aside.
struct Sending {
    bool sent = false;
    bool waits = false;
    std::vector<Request> held; ///< the client's, until the reply is there
};

void release(Sending& state, Flow& flow) {
    state.waits = false;
    for (const Request& request : std::exchange(state.held, {})) {
        flow.to_server(request);
    }
}

template <class M>
void edit_data(OptionRequest& option, const std::function<void(M&)>& edit) {
    if (auto data = payload_as<M>(option.payload)) {
        edit(*data);
        option.payload = nbd::encode(*data);
    }
}

} // namespace

Recipe ask_before(MakeOption make) {
    return twist_with(
        Asking{},
        [make = std::move(make)](Asking& state, OptionRequest& option, Flow& flow) {
            if (state.asked) {
                return;
            }
            if (const auto extra = make(option, flow.told())) {
                state.asked = true;
                state.held = option;
                flow.drop();
                flow.to_server(*extra);
            }
        },
        [](Asking& state, OptionReply& reply, Flow& flow) {
            if (!state.held) {
                return;
            }
            flow.drop();
            if (ends_option(reply.type)) {
                flow.to_server(*std::exchange(state.held, std::nullopt));
            }
        });
}

Recipe ask_first(const OptionRequest& option) {
    return ask_before([option](const OptionRequest& /*next*/, const Conversation& /*told*/) {
        return std::optional(option);
    });
}

OptionRequest meta_option(nbd::Option option, const std::string& export_name,
                          const std::vector<std::string>& queries) {
    nbd::MetaContextRequest data{export_name, {}};
    for (const std::string& query : queries) {
        data.queries.push_back({query});
    }
    return {nbd::option_magic, option, {}, nbd::encode(data)};
}

void edit_info(OptionRequest& option, const std::function<void(nbd::InfoRequest&)>& edit) {
    if (option.option == nbd::Option::info || option.option == nbd::Option::go) {
        edit_data(option, edit);
    }
}

void edit_meta(OptionRequest& option, const std::function<void(nbd::MetaContextRequest&)>& edit) {
    if (option.option == nbd::Option::list_meta_context || option.option == nbd::Option::set_meta_context) {
        edit_data(option, edit);
    }
}

void decline(const OptionRequest& option, Flow& flow) {
    flow.drop();
    flow.to_client(option_reply(option.option, nbd::OptionReplyType::err_unsup));
}

void tell_export(Flow& flow, std::uint64_t size, std::uint16_t flags) {
    flow.to_client(option_reply(nbd::Option::go, nbd::OptionReplyType::info,
                                nbd::encode(nbd::InfoExport{nbd::InfoType::export_, size, flags})));
    flow.to_client(option_reply(nbd::Option::go, nbd::OptionReplyType::ack));
}

Request aside(const Conversation& told, nbd::Command type, std::uint64_t offset, std::uint64_t length,
              std::uint16_t flags) {
    return {told.extended ? nbd::extended_request_magic : nbd::request_magic,
            told.style(),
            flags,
            type,
            aside_cookie,
            offset,
            length};
}

std::uint64_t small_length(const Conversation& told) {
    constexpr std::uint64_t usual = 512;
    return told.block ? std::max<std::uint64_t>(told.block->minimum, usual) : usual;
}

Recipe request_before(MakeRequest make) {
    return twist_with(
        Sending{},
        [make = std::move(make)](Sending& state, Request& request, Flow& flow) {
            if (!state.sent) {
                if (const auto extra = make(request, flow.told())) {
                    state.sent = true;
                    state.waits = true;
                    flow.to_server(*extra);
                }
            }
            if (state.waits) {
                state.held.push_back(request);
                flow.drop();
            }
        },
        [](Sending& state, Reply& reply, Flow& flow) {
            if (reply.cookie == aside_cookie) {
                flow.drop();
                release(state, flow);
            }
        },
        [](Sending& state, Chunk& chunk, Flow& flow) {
            if (chunk.cookie == aside_cookie) {
                flow.drop();
                if (chunk.done()) {
                    release(state, flow);
                }
            }
        });
}

Recipe request_unoffered(nbd::Command type, std::uint16_t offer) {
    return request_before([type, offer](const Request& /*next*/, const Conversation& told) {
        const std::uint64_t length = type == nbd::Command::flush ? 0 : small_length(told);
        return (told.flags & offer) != 0 ? std::nullopt : std::optional(aside(told, type, 0, length));
    });
}

Recipe sending_instead(ChangeRequest change) {
    using Moved = std::map<std::uint64_t, std::uint64_t>; // how far, by cookie
    return twist_with(
        Moved(),
        [change = std::move(change)](Moved& moved, Request& request, Flow& flow) {
            const std::uint64_t offset = request.offset;
            change(request, flow.told());
            if (request.offset != offset) {
                moved[request.cookie] = request.offset - offset;
            }
        },
        [](Moved& moved, Reply& reply) { moved.erase(reply.cookie); },
        [](Moved& moved, Chunk& chunk) {
            const auto found = moved.find(chunk.cookie);
            if (found == moved.end()) {
                return;
            }
            chunk.offset -= found->second;
            if (const auto content = content_of(chunk)) {
                nbd::detail::store_big(chunk.payload.data(), content->begin - found->second);
            }
            if (chunk.done()) {
                moved.erase(found);
            }
        });
}

std::optional<Range> content_of(const Chunk& chunk) {
    if (chunk.type == nbd::ChunkType::offset_hole) {
        const auto hole = payload_as<nbd::OffsetHole>(chunk.payload);
        return hole ? std::optional(Range{hole->offset, hole->offset + hole->length}) : std::nullopt;
    }
    if (chunk.type != nbd::ChunkType::offset_data || chunk.payload.size() < nbd::wire_size<nbd::OffsetData>) {
        return std::nullopt;
    }
    const auto begin = nbd::detail::load_big<std::uint64_t>(chunk.payload.data());
    return Range{begin, begin + chunk.payload.size() - nbd::wire_size<nbd::OffsetData>};
}

bool Came::add(std::uint64_t cookie, const Range& range) {
    std::vector<Range>& known = ranges_[cookie];
    const auto overlaps = [&](const Range& other) {
        return range.begin < other.end && other.begin < range.end;
    };
    if (std::ranges::any_of(known, overlaps)) {
        return false;
    }
    known.insert(std::ranges::lower_bound(known, range.begin, {}, &Range::begin), range);
    return true;
}

std::vector<Range> Came::missing(const Request& request) const {
    std::vector<Range> gaps;
    std::uint64_t at = request.offset;
    const std::uint64_t end = request.offset + request.length;
    if (const auto known = ranges_.find(request.cookie); known != ranges_.end()) {
        for (const Range& range : known->second) {
            if (range.begin > at) {
                gaps.push_back({at, range.begin});
            }
            at = std::max(at, range.end);
        }
    }
    if (at < end) {
        gaps.push_back({at, end});
    }
    return gaps;
}

void make_success(Flow& flow, const Request& request, const Came& came) {
    const Conversation& told = flow.told();
    if (!told.chunks()) {
        return flow.to_client(any_success(told, request));
    }
    if (request.type == nbd::Command::read) {
        for (const Range& gap : came.missing(request)) {
            const auto size = static_cast<std::size_t>(std::min(gap.end - gap.begin, most_zeroes));
            flow.to_client(data_chunk(told, request, gap.begin, nbd::Buffer(size), false));
        }
    } else if (request.type == nbd::Command::block_status && came.nothing(request.cookie)) {
        for (const SelectedContext& context : told.contexts) {
            const nbd::Buffer compact =
                nbd::encode(nbd::BlockStatus{context.id, {{static_cast<std::uint32_t>(request.length), 0}}});
            const nbd::Buffer wide = nbd::encode(nbd::BlockStatusExt{context.id, {{request.length, 0}}});
            flow.to_client(told.extended
                               ? chunk(told, request, nbd::ChunkType::block_status_ext, wide, false)
                               : chunk(told, request, nbd::ChunkType::block_status, compact, false));
        }
    }
    flow.to_client(chunk(told, request, nbd::ChunkType::none, {}, true));
}

} // namespace faults
