#pragma once

// Twists that are needed again and again.

#include "faults/answers.hpp"
#include "faults/make.hpp"
#include "faults/stream.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace faults {

/// Changes the payload as the structure that it is; leaves it alone if it is none.
template <class M, class F>
void edit(nbd::Buffer& payload, F change) {
    if (auto decoded = payload_as<M>(payload)) {
        change(*decoded);
        payload = nbd::encode(*decoded);
    }
}

/// Answers in the server's place: it never gets the message that is handled.
inline void answer(Flow& flow, const Message& message) {
    flow.to_client(message);
    flow.drop();
}

/// The type of information that a reply carries.
[[nodiscard]] inline std::optional<nbd::InfoType> info_type(const OptionReply& reply) {
    if (reply.type != nbd::OptionReplyType::info || reply.payload.size() < sizeof(nbd::InfoType)) {
        return std::nullopt;
    }
    return static_cast<nbd::InfoType>(nbd::detail::load_big<std::uint16_t>(reply.payload.data()));
}

/// The type of an error chunk that the specification does not have.
inline constexpr nbd::ChunkType unknown_error_chunk{nbd::chunk_error_bit + 99};

/// True for a success or an error that completes an option.
[[nodiscard]] inline bool is_final(const OptionReply& reply) {
    return reply.type == nbd::OptionReplyType::ack || nbd::is_error(reply.type);
}

/// True for the options that name an export and ask for information about it.
[[nodiscard]] inline bool asks_info(nbd::Option option) {
    return option == nbd::Option::info || option == nbd::Option::go;
}

/// True if NBD_OPT_INFO or NBD_OPT_GO lists this information.
[[nodiscard]] inline bool lists(const OptionRequest& option, nbd::InfoType type) {
    const auto request = payload_as<nbd::InfoRequest>(option.payload);
    return request && std::ranges::find(request->requests, type) != request->requests.end();
}

/// For one option: `change(OptionRequest&, Flow&)`.
template <class F>
[[nodiscard]] Recipe on_option(nbd::Option option, F change) {
    return twist([option, change](OptionRequest& request, Flow& flow) mutable {
        if (request.option == option) {
            change(request, flow);
        }
    });
}

/// For replies to one option: `change(OptionReply&, Flow&)`.
template <class F>
[[nodiscard]] Recipe on_option_reply(nbd::Option option, F change) {
    return twist([option, change](OptionReply& reply, Flow& flow) mutable {
        if (reply.option == option) {
            change(reply, flow);
        }
    });
}

/// For one type of information, as a structure: `change(M&)`.
template <class M, class F>
[[nodiscard]] Recipe on_info(nbd::InfoType type, F change) {
    return twist([type, change](OptionReply& reply) {
        if (info_type(reply) == type) {
            edit<M>(reply.payload, change);
        }
    });
}

/// For the size and the transmission flags, however they are told: `change(size, flags, told)`.
template <class F>
[[nodiscard]] Recipe on_export(F change) {
    return twist(
        [change](OptionReply& reply, Flow& flow) {
            if (info_type(reply) == nbd::InfoType::export_) {
                edit<nbd::InfoExport>(reply.payload, [&](nbd::InfoExport& told) {
                    change(told.size, told.transmission_flags, flow.told());
                });
            }
        },
        [change](ExportReply& reply, Flow& flow) { change(reply.size, reply.flags, flow.told()); });
}

/// For one command: `change(Request&, Flow&)`.
template <class F>
[[nodiscard]] Recipe on_request(nbd::Command command, F change) {
    return twist([command, change](Request& request, Flow& flow) mutable {
        if (request.type == command) {
            change(request, flow);
        }
    });
}

/// The third request of a kind fails, and later ones that touch its first byte do, too: a client may try
/// again, and would be right to report success if that went well.
struct BadSpot {
    int seen = 0;
    std::optional<std::uint64_t> at;

    [[nodiscard]] bool hit(const Request& request) {
        if (++seen == 3) {
            at = request.offset;
        }
        return at && request.offset <= *at && *at - request.offset < request.length;
    }
};

/// Requests for which `which(Request, Conversation)` holds never reach the server and fail.
template <class F>
[[nodiscard]] Recipe refuse(nbd::Error error, F which) {
    return twist([error, which](Request& request, Flow& flow) {
        if (request.type != nbd::Command::disc && which(std::as_const(request), flow.told())) {
            answer(flow, failure(flow.told(), request, error));
        }
    });
}

/// The same for requests that there is no reason to refuse: other ones reach the server.
template <class F>
[[nodiscard]] Recipe refuse_sound(nbd::Error error, F which) {
    return refuse(error, [which](const Request& request, const Conversation& told) {
        return is_sound(told, request) && which(request, told);
    });
}

/// Requests for which `which(Request, Conversation)` holds never reach the server and seem to succeed.
template <class F>
[[nodiscard]] Recipe pretend(F which) {
    return twist([which](Request& request, Flow& flow) {
        if (request.type != nbd::Command::disc && which(std::as_const(request), flow.told())) {
            answer(flow, any_success(flow.told(), request));
        }
    });
}

/// Requests that the server gets as another one: `change(Request&, told)` moves or widens them. Replies are
/// as if it had got them as they came.
template <class F>
[[nodiscard]] Recipe mistake(F change) {
    return twist_with(
        std::map<std::uint64_t, std::uint64_t>{},
        [change](std::map<std::uint64_t, std::uint64_t>& moved, Request& request, Flow& flow) {
            const std::uint64_t offset = request.offset;
            if (is_sound(flow.told(), request)) {
                change(request, flow.told());
                moved[request.cookie] = offset - request.offset;
            }
        },
        [](std::map<std::uint64_t, std::uint64_t>& moved, Chunk& chunk, Flow& flow) {
            const auto request = flow.told().request(chunk.cookie);
            const auto found = moved.find(chunk.cookie);
            if (!request || found == moved.end()) {
                return;
            }
            chunk.offset = request->offset;
            const bool placed =
                chunk.type == nbd::ChunkType::offset_data || chunk.type == nbd::ChunkType::offset_hole;
            if (placed && chunk.payload.size() >= sizeof(std::uint64_t)) {
                const auto at = nbd::detail::load_big<std::uint64_t>(chunk.payload.data());
                nbd::detail::store_big(chunk.payload.data(), at + found->second);
            }
            if (chunk.done()) {
                moved.erase(found);
            }
        });
}

/// For errors of replies to requests, of either style: `change(error, request)`.
template <class F>
[[nodiscard]] Recipe on_error(F change) {
    return twist(
        [change](Reply& reply, Flow& flow) {
            const auto request = flow.told().request(reply.cookie);
            if (request && reply.error != nbd::Error::none) {
                change(reply.error, *request);
            }
        },
        [change](Chunk& chunk, Flow& flow) {
            const auto request = flow.told().request(chunk.cookie);
            if (request && nbd::is_error(chunk.type)) {
                edit<nbd::AnyErrorChunk>(chunk.payload,
                                         [&](nbd::AnyErrorChunk& error) { change(error.error, *request); });
            }
        });
}

/// What is known of the replies to reads that are under way, by cookie.
using Readings = std::map<std::uint64_t, nbd::Buffer>;

/// Adds a chunk to what is known; true if it is content of a read, or the end of one, that can be collected.
inline bool collect(Readings& readings, const Chunk& chunk, const Conversation& told) {
    const auto request = told.request(chunk.cookie);
    if (!request || request->type != nbd::Command::read || nbd::is_error(chunk.type) ||
        request->length > Stream::longest_payload) {
        readings.erase(chunk.cookie);
        return false;
    }
    nbd::Buffer& data = readings[chunk.cookie];
    data.resize(static_cast<std::size_t>(request->length));
    if (chunk.type == nbd::ChunkType::offset_data && chunk.payload.size() > sizeof(std::uint64_t)) {
        const std::uint64_t at = nbd::detail::load_big<std::uint64_t>(chunk.payload.data()) - request->offset;
        const std::size_t size = chunk.payload.size() - sizeof(std::uint64_t);
        if (at <= data.size() && size <= data.size() - at) {
            std::copy(chunk.payload.begin() + sizeof(std::uint64_t), chunk.payload.end(),
                      data.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    return true;
}

/// For whole replies to reads that succeed, with chunks: `reply(Request, data, Flow&)` sends what comes
/// instead.
template <class F>
[[nodiscard]] Recipe on_chunked_read(F reply) {
    return twist_with(Readings{}, [reply](Readings& readings, Chunk& chunk, Flow& flow) mutable {
        if (!collect(readings, chunk, flow.told())) {
            return;
        }
        if (chunk.done()) {
            reply(*flow.told().request(chunk.cookie), readings[chunk.cookie], flow);
            readings.erase(chunk.cookie);
        }
        flow.drop();
    });
}

/// The same for replies of either style.
template <class F>
[[nodiscard]] Recipe on_read(F reply) {
    return twist_with(
        Readings{},
        [reply](Readings& readings, Chunk& chunk, Flow& flow) mutable {
            if (!collect(readings, chunk, flow.told())) {
                return;
            }
            if (chunk.done()) {
                reply(*flow.told().request(chunk.cookie), readings[chunk.cookie], flow);
                readings.erase(chunk.cookie);
            }
            flow.drop();
        },
        [reply](Readings& /*readings*/, Reply& simple, Flow& flow) mutable {
            const auto request = flow.told().request(simple.cookie);
            if (request && request->type == nbd::Command::read && simple.error == nbd::Error::none) {
                reply(*request, simple.data, flow);
                flow.drop();
            }
        });
}

/// An extent of either kind of status chunk.
using Extent = nbd::StatusDescriptorExt;

/// For the extents of status chunks: `change(extents, request, told)`.
template <class F>
[[nodiscard]] Recipe on_extents(F change) {
    return twist([change](Chunk& chunk, Flow& flow) {
        const auto request = flow.told().request(chunk.cookie);
        if (request && chunk.type == nbd::ChunkType::block_status) {
            edit<nbd::BlockStatus>(chunk.payload, [&](nbd::BlockStatus& status) {
                std::vector<Extent> extents;
                for (const auto& one : status.descriptors) {
                    extents.push_back({one.length, one.status});
                }
                change(extents, *request, flow.told());
                status.descriptors.clear();
                for (const Extent& one : extents) {
                    status.descriptors.push_back(
                        {static_cast<std::uint32_t>(one.length), static_cast<std::uint32_t>(one.status)});
                }
            });
        } else if (request && chunk.type == nbd::ChunkType::block_status_ext) {
            edit<nbd::BlockStatusExt>(chunk.payload, [&](nbd::BlockStatusExt& status) {
                change(status.descriptors, *request, flow.told());
            });
        }
    });
}

/// The greeting comes without a handshake flag, and a client that goes by it all the same is dropped.
[[nodiscard]] Recipe unoffered(std::uint16_t handshake_flag, std::uint32_t client_flag);

/// One twist behind another: the second one gets what the first one has let pass.
[[nodiscard]] Recipe both(Recipe first, Recipe second);

/// Reads come in chunks of this many bytes at most; those that must not be fragmented are refused if they are
/// longer.
[[nodiscard]] Recipe chunks_of_at_most(std::size_t bytes);

} // namespace faults
