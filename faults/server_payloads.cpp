// Faults of requests that carry payloads beside writes (the extension of extended headers: Request message,
// NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_BLOCK_STATUS).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <set>

namespace faults {

using nbd::Command;
using nbd::Error;

namespace ask = nbd::command_flag;

namespace {

constexpr std::size_t effect_size = sizeof(std::uint64_t);
constexpr std::size_t id_size = sizeof(std::uint32_t);

bool has_payload(const Request& request) {
    return request.style == nbd::HeaderStyle::extended && (request.flags & ask::payload_len) != 0;
}

/// A payload that the command has no use for.
bool unwanted(const Request& request) {
    return has_payload(request) && request.type != Command::write && request.type != Command::block_status &&
           request.type != Command::disc;
}

/// How many bytes a block status request is about.
std::uint64_t effect_of(const Request& request) {
    const bool inside = has_payload(request) && request.payload.size() >= effect_size;
    return inside ? nbd::detail::load_big<std::uint64_t>(request.payload.data()) : request.length;
}

/// A payload of NBD_CMD_BLOCK_STATUS that names a context twice, or one that was not selected, or that was
/// not offered.
bool bad_list(const Request& request, const Conversation& told) {
    if (!has_payload(request) || request.type != Command::block_status) {
        return false;
    }
    if ((told.flags & nbd::transmission_flag::block_status_payload) == 0) {
        return true;
    }
    std::set<std::uint32_t> named;
    for (std::size_t at = effect_size; at + id_size <= request.payload.size(); at += id_size) {
        const auto id = nbd::detail::load_big<std::uint32_t>(request.payload.data() + at);
        const bool known = std::ranges::find(told.contexts, id, &SelectedContext::id) != told.contexts.end();
        if (!known || !named.insert(id).second) {
            return true;
        }
    }
    return false;
}

/// Fails, and what follows the header is left to be read as the next request.
void refuse_and_leave(Request& request, Flow& flow) {
    answer(flow, failure(flow.told(), request, Error::inval));
    flow.to_server(Raw{Side::client, request.payload});
}

std::uint64_t most_payload(const Conversation& told) {
    return told.block ? told.block->maximum : nbd::default_max_payload;
}

Table unexpected() {
    return {
        {"payload-served", "PAYLOAD-LEN-REFUSED",
         "serves commands that come with a payload which they have no use for",
         pretend([](const Request& request, const Conversation& /*told*/) { return unwanted(request); })},
        {"payload-left", "PAYLOAD-CONSUMED", "takes a payload that a command has no use for as requests",
         twist([](Request& request, Flow& flow) {
             if (unwanted(request)) {
                 refuse_and_leave(request, flow);
             }
         })},
        {"payload-eats-request", "PAYLOAD-CONSUMED",
         "reads the next request as a part of a payload that a command has no use for",
         twist([hungry = false](Request& request, Flow& flow) mutable {
             if (std::exchange(hungry, unwanted(request))) {
                 flow.drop();
             } else if (unwanted(request)) {
                 answer(flow, failure(flow.told(), request, Error::inval));
             }
         })},
        {"payload-refused-data-read", "PAYLOAD-CONSUMED",
         "takes the data of a write beyond the end for requests with extended headers",
         on_request(Command::write,
                    [](Request& request, Flow& flow) {
                        if (has_payload(request) && past_end(flow.told(), request)) {
                            answer(flow, failure(flow.told(), request, Error::nospc));
                            flow.to_server(Raw{Side::client, request.payload});
                        }
                    })},
        {"payload-too-long-awaited", "PAYLOAD-TOO-LONG",
         "answers NBD_EINVAL to a payload above the maximum and waits for it to come",
         twist_with(
             std::uint64_t{0},
             [](std::uint64_t& due, Request& request, Flow& flow) {
                 if (has_payload(request) && request.length > most_payload(flow.told())) {
                     due = request.length - request.payload.size();
                     answer(flow, failure(flow.told(), request, Error::inval));
                 }
             },
             [](std::uint64_t& due, Raw& raw, Flow& flow) {
                 if (raw.from == Side::client && due > 0) {
                     due -= std::min<std::uint64_t>(due, raw.bytes.size());
                     flow.drop();
                 }
             })},
    };
}

Table of_status() {
    return {
        {"status-payload-unsound-served", "STATUS-PAYLOAD-REFUSED",
         "tells block status for a payload that names a context twice or an unknown one, or was not offered",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (bad_list(request, flow.told())) {
                            answer(flow, status_chunk(flow.told(), request,
                                                      std::max<std::uint64_t>(effect_of(request), 1), true));
                        }
                    })},
        {"status-payload-left", "STATUS-PAYLOAD-REFUSED",
         "takes a payload of block status that it refuses as requests",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (bad_list(request, flow.told())) {
                            refuse_and_leave(request, flow);
                        }
                    })},
        {"status-payload-all-contexts", "STATUS-CONTEXT-WANTED",
         "tells the status of all selected contexts, whichever the payload names",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        if (has_payload(request) && !bad_list(request, flow.told())) {
                            request.length = effect_of(request);
                            request.flags &= static_cast<std::uint16_t>(~ask::payload_len);
                            request.payload.clear();
                        }
                    })},
        {"status-effect-cut", "STATUS-EFFECT-TOO-LONG",
         "tells the status of what there is where a longer effect than the export was asked for",
         on_request(Command::block_status,
                    [](Request& request, Flow& flow) {
                        const Conversation& told = flow.told();
                        if (told.extended && !told.contexts.empty() && request.offset < told.size &&
                            effect_of(request) > told.size) {
                            answer(flow, status_chunk(told, request, told.size - request.offset, true));
                        }
                    })},
        {"status-payload-ends", "PAYLOAD-CONSUMED",
         "does not read another request after a block status request with a payload",
         twist([over = false](Request& request, Flow& flow) mutable {
             if (over && request.type != Command::disc) {
                 flow.drop();
             }
             over = over || (has_payload(request) && request.type == Command::block_status);
         })},
    };
}

} // namespace

Table payload_faults() {
    return joined({unexpected, of_status});
}

} // namespace faults
