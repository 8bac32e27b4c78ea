// Faults of the RESIZE extension that stand in connections; most others are in reference-server/resize/.

#include "faults/edit.hpp"
#include "faults/tables.hpp"
#include "protocol/resize.hpp"

namespace faults {

using nbd::Command;
using nbd::InfoType;

namespace ask = nbd::command_flag;

namespace {

/// Growth by 4 MiB always changes it.
constexpr std::uint64_t size_bit = std::uint64_t{4} << 20;

bool changes_size(const Request& request) {
    return request.type == Command::resize && (request.flags & (ask::query | ask::notify | ask::cancel)) == 0;
}

/// Nobody takes so many notifications at once for anything but a flood.
constexpr int flood = 20000;

/// Tells of changes of the size without end, as it were, before anything else is answered to a client that
/// has subscribed.
Recipe floods() {
    return twist_with(
        std::optional<Chunk>{}, // the first one of a subscription without a limit
        [](std::optional<Chunk>& subscribed, Chunk& chunk, Flow& flow) {
            const auto request = flow.told().request(chunk.cookie);
            if (chunk.type == nbd::ChunkType::resize && !chunk.done() && request &&
                (request->flags & ask::notify) != 0 && request->length == 0 && !subscribed) {
                subscribed = chunk;
            }
        },
        [](std::optional<Chunk>& subscribed, Request& request, Flow& flow) {
            if (!subscribed || request.type == Command::disc) {
                return;
            }
            Chunk chunk = *subscribed;
            const auto told = payload_as<nbd::ResizeChunk>(chunk.payload);
            for (int i = 0; told && i < flood; ++i) {
                // There and back again.
                const std::uint64_t size = told->size + (i % 2 == 0 ? size_bit : 0);
                chunk.payload = nbd::encode(nbd::ResizeChunk{size, nbd::resize_flag::external});
                flow.to_client(chunk);
            }
            subscribed.reset();
        });
}

bool is_changing(const Conversation& told) {
    return std::ranges::any_of(told.asked, [](const auto& open) { return changes_size(open.second); });
}

} // namespace

Table resize_faults() {
    return {
        {"resize-type-ends-list", "RZ-INFO-2",
         "takes NBD_INFO_RESIZE for the end of the information that a client asks for",
         twist([](OptionRequest& option) {
             if (asks_info(option.option)) {
                 edit<nbd::InfoRequest>(option.payload, [](nbd::InfoRequest& request) {
                     const auto found = std::ranges::find(request.requests, InfoType::resize);
                     if (found != request.requests.end()) {
                         request.requests.erase(found + 1, request.requests.end());
                     }
                 });
             }
         })},
        {"resize-changes-flags", "RZ-SIZE-2",
         "offers NBD_CMD_FLUSH or does not, as the size of the export happens to be",
         on_export([](std::uint64_t& size, std::uint16_t& flags, const Conversation& /*told*/) {
             if ((size & size_bit) == 0) {
                 flags &= static_cast<std::uint16_t>(~nbd::transmission_flag::send_flush);
             }
         })},
        {"resize-fua-denied", "RZ-CMD-1",
         "answers NBD_EPERM to queries, subscriptions and cancels with NBD_CMD_FLAG_FUA",
         on_request(Command::resize,
                    [](Request& request, Flow& flow) {
                        if (!changes_size(request) && (request.flags & ask::fua) != 0) {
                            answer(flow, failure(flow.told(), request, nbd::Error::perm));
                        }
                    })},
        {"notifications-flood", "RZ-NOTE-6",
         "tells clients that have subscribed without a limit of twenty thousand changes that there were not, "
         "before it answers anything else",
         floods()},
        {"resize-forgets-requests", "RZ-PLAIN-10",
         "does not answer requests beyond the end that come while the size changes",
         twist([](Request& request, Flow& flow) {
             if (!changes_size(request) && request.type != Command::disc && past_end(flow.told(), request) &&
                 is_changing(flow.told())) {
                 flow.drop();
             }
         })},
    };
}

} // namespace faults
