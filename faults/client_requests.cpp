// Faults of clients in the fields of requests, and in the data behind them (Request message, Command flags,
// Request types).

#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>

namespace faults {
namespace {

using nbd::Command;
namespace asked = nbd::command_flag;
namespace offered = nbd::transmission_flag;

/// The magic number that stood for requests in the beginnings of NBD.
constexpr std::uint32_t historic_request_magic = 0x12560953;

bool has_range(const Request& request) {
    return request.type != Command::flush && request.type != Command::disc && request.type < Command::resize;
}

/// Changes the requests of one type.
template <class Change>
Recipe on(Command type, Change change) {
    return twist([type, change](Request& request) {
        if (request.type == type) {
            change(request);
        }
    });
}

/// Gives the requests of one type another offset.
template <class Offset>
Recipe moved(Command type, Offset offset) {
    return sending_instead([=](Request& request, const Conversation& told) {
        if (request.type == type) {
            request.offset = offset(request, told);
        }
    });
}

/// Sets a command flag on the requests of one type, if the server offers this. If it is set where nothing is
/// offered, that breaks another requirement.
Recipe flag_on(Command type, std::uint16_t flag, std::uint16_t needed = 0) {
    return twist([=](Request& request, Flow& flow) {
        if (request.type == type && (flow.told().flags & needed) == needed) {
            request.flags |= flag;
        }
    });
}

/// Sets a command flag on the requests of one type, if the server does not offer it.
Recipe flag_unoffered(Command type, std::uint16_t flag, std::uint16_t offer) {
    return twist([=](Request& request, Flow& flow) {
        if (request.type == type && (flow.told().flags & offer) == 0) {
            request.flags |= flag;
        }
    });
}

void make_compact(Request& request) {
    request.style = nbd::HeaderStyle::compact;
    request.magic = nbd::request_magic;
    request.flags &= static_cast<std::uint16_t>(~asked::payload_len);
}
void make_extended(Request& request) {
    request.style = nbd::HeaderStyle::extended;
    request.magic = nbd::extended_request_magic;
}

/// Turns a block status without a choice of contexts into one that asks for all that are selected.
void choose_all_contexts(Request& request, const Conversation& told) {
    nbd::BlockStatusQuery query{request.length, {}};
    for (const SelectedContext& context : told.contexts) {
        query.contexts.push_back(context.id);
    }
    request.payload = nbd::encode(query);
    request.length = request.payload.size();
    request.flags |= asked::payload_len;
}

Recipe status_payload_unoffered() {
    return twist([](Request& request, Flow& flow) {
        const Conversation& told = flow.told();
        if (request.type == Command::block_status && told.extended &&
            (told.flags & offered::block_status_payload) == 0) {
            choose_all_contexts(request, told);
        }
    });
}

Recipe status_payload_layout() {
    return twist([](Request& request, Flow& flow) {
        const Conversation& told = flow.told();
        if (request.type == Command::block_status && told.extended &&
            (told.flags & offered::block_status_payload) != 0) {
            choose_all_contexts(request, told);
            request.payload.push_back(0);
            request.length = request.payload.size();
        }
    });
}

/// Sends a payload with a command that has none.
Recipe payload_on(Command type) {
    return twist([type](Request& request) {
        if (request.type == type && request.style == nbd::HeaderStyle::extended) {
            request.flags |= asked::payload_len;
            constexpr std::uint64_t most = 4096;
            request.length = std::min(request.length, most);
            request.payload.assign(static_cast<std::size_t>(request.length), 0);
        }
    });
}

/// Sends every read twice, at the same time and with the same cookie.
Recipe cookie_twice() {
    return twist(
        [](Request& request, Flow& flow) {
            if (request.type == Command::read) {
                const Request again = request;
                flow.forward();
                flow.to_server(again);
            }
        },
        [](Reply& reply, Flow& flow) {
            if (!flow.told().request(reply.cookie)) {
                flow.drop();
            }
        },
        [](Chunk& chunk, Flow& flow) {
            if (!flow.told().request(chunk.cookie)) {
                flow.drop();
            }
        });
}

/// Moves requests by half a block, if the server has told how large that is, or by half of the default.
Recipe misaligned(bool told_sizes) {
    return sending_instead([told_sizes](Request& request, const Conversation& told) {
        const auto& block = told.block;
        if (!has_range(request) || block.has_value() != told_sizes || (block && block->minimum < 2)) {
            return;
        }
        const std::uint32_t half = (block ? block->minimum : nbd::default_min_block) / 2;
        if (request.offset + request.length + half <= told.size) {
            request.offset += half;
        } else if (request.offset >= half) {
            request.offset -= half;
        }
    });
}

/// Makes writes longer than the largest payload that was told.
Recipe payload_too_large() {
    return sending_instead([](Request& request, const Conversation& told) {
        const auto& block = told.block;
        if (request.type != Command::write || !block) {
            return;
        }
        const std::uint64_t length = std::uint64_t{block->maximum} + block->minimum;
        if (length <= told.size) {
            request.offset = std::min(request.offset, told.size - length);
            request.length = length;
            request.payload.resize(static_cast<std::size_t>(length));
        }
    });
}

std::uint64_t swapped(std::uint64_t number) {
    std::uint64_t other = 0;
    for (std::size_t i = 0; i < sizeof number; ++i, number >>= 8) {
        other = (other << 8) | (number & 0xff);
    }
    return other;
}

} // namespace

Table client_request_faults() {
    return {
        {"request-magic", "REQUEST-MAGIC", "begins requests with another magic number",
         twist([](Request& request) { request.magic += 1; })},
        {"request-magic-historic", "MAGIC-HISTORIC",
         "begins requests with the magic number from before there was a specification",
         twist([](Request& request) { request.magic = historic_request_magic; })},
        {"request-compact", "EXTENDED-REQUESTS", "sends compact requests with extended headers agreed",
         twist([](Request& request) { make_compact(request); })},
        {"request-extended", "PAYLOAD-EXTENSIONS-UNUSED",
         "sends requests with extended headers that are not agreed",
         twist([](Request& request) { make_extended(request); })},
        {"offset-little-endian", "NUMBERS-BIG-ENDIAN", "sends offsets with the least significant byte first",
         sending_instead([](Request& request, const Conversation& /*told*/) {
             request.offset = swapped(request.offset);
         })},
        {"cookie-reused", "COOKIE-DISTINCT", "sends two requests with the same cookie at the same time",
         cookie_twice()},
        {"command-flags-unknown", "COMMAND-FLAGS-KNOWN", "sets a command flag that means nothing on reads",
         flag_on(Command::read, 1U << 14)},
        {"fua-not-offered", "FUA-OFFERED", "sets NBD_CMD_FLAG_FUA on writes where it is not offered",
         flag_unoffered(Command::write, asked::fua, offered::send_fua)},
        {"fua-on-read", "FUA-WRITES", "sets NBD_CMD_FLAG_FUA on reads",
         flag_on(Command::read, asked::fua, offered::send_fua)},
        {"no-hole-on-write", "NO-HOLE-PLACE", "sets NBD_CMD_FLAG_NO_HOLE on writes",
         flag_on(Command::write, asked::no_hole)},
        {"df-not-offered", "DF-OFFERED", "sets NBD_CMD_FLAG_DF on reads where it is not offered",
         flag_unoffered(Command::read, asked::df, offered::send_df)},
        {"df-on-write", "DF-PLACE", "sets NBD_CMD_FLAG_DF on writes",
         flag_on(Command::write, asked::df, offered::send_df)},
        {"req-one-on-read", "REQ-ONE-PLACE", "sets NBD_CMD_FLAG_REQ_ONE on reads",
         flag_on(Command::read, asked::req_one)},
        {"fast-zero-not-offered", "FAST-ZERO-OFFERED",
         "sets NBD_CMD_FLAG_FAST_ZERO on writes of zeroes where it is not offered",
         flag_unoffered(Command::write_zeroes, asked::fast_zero, offered::send_fast_zero)},
        {"fast-zero-on-write", "FAST-ZERO-PLACE", "sets NBD_CMD_FLAG_FAST_ZERO on writes",
         flag_on(Command::write, asked::fast_zero, offered::send_fast_zero)},
        {"payload-len-compact", "PAYLOAD-LEN-EXTENDED",
         "sets NBD_CMD_FLAG_PAYLOAD_LEN on writes with compact headers",
         on(Command::write,
            [](Request& request) {
                if (request.style == nbd::HeaderStyle::compact) {
                    request.flags |= asked::payload_len;
                }
            })},
        {"payload-len-missing", "PAYLOAD-LEN-WRITE",
         "does not set NBD_CMD_FLAG_PAYLOAD_LEN on writes with extended headers",
         on(Command::write,
            [](Request& request) { request.flags &= static_cast<std::uint16_t>(~asked::payload_len); })},
        {"payload-on-read", "PAYLOAD-LEN-PLACE", "sends data with reads", payload_on(Command::read)},
        {"payload-on-trim", "PAYLOAD-LEN-PLACE", "sends data with trims", payload_on(Command::trim)},
        {"payload-len-empty", "PAYLOAD-LEN-NOT-EMPTY", "sends NBD_CMD_FLAG_PAYLOAD_LEN with a length of 0",
         request_before([](const Request& /*next*/, const Conversation& told) {
             return told.extended ? std::optional(aside(told, Command::write, 0, 0, asked::payload_len))
                                  : std::nullopt;
         })},
        {"status-payload-not-offered", "STATUS-PAYLOAD-OFFERED",
         "chooses contexts of a block status where that is not offered", status_payload_unoffered()},
        {"status-payload-layout", "STATUS-PAYLOAD-LAYOUT",
         "sends a byte behind its choice of contexts of a block status", status_payload_layout()},
        {"read-past-end", "REQUEST-IN-BOUNDS", "reads from the end of the export on",
         moved(Command::read,
               [](const Request& /*request*/, const Conversation& told) { return told.size; })},
        {"read-across-end", "REQUEST-IN-BOUNDS", "reads across the end of the export",
         moved(Command::read,
               [](const Request& request, const Conversation& told) {
                   const std::uint64_t inside = std::min(request.length / 2, told.size);
                   const std::uint64_t block = told.block ? told.block->minimum : 1;
                   return told.size - (inside - inside % block);
               })},
        {"write-past-end", "REQUEST-IN-BOUNDS", "writes from the end of the export on",
         moved(Command::write,
               [](const Request& /*request*/, const Conversation& told) { return told.size; })},
        {"offset-wraps", "REQUEST-IN-BOUNDS", "reads where offset and length do not fit 64 bits together",
         moved(Command::read,
               [](const Request& request, const Conversation& /*told*/) { return ~request.length + 1; })},
        {"misaligned", "REQUEST-ALIGNED", "sends offsets that cut the minimum block", misaligned(true)},
        {"misaligned-default", "REQUEST-ALIGNED-DEFAULT",
         "sends offsets that are no multiple of 512 where no block sizes are told", misaligned(false)},
        {"preferred-ignored", "REQUEST-PREFERRED", "sends reads that cut the preferred block",
         sending_instead([](Request& request, const Conversation& told) {
             const std::uint64_t step = small_length(told);
             if (request.type == Command::read && told.block && step < told.block->preferred &&
                 request.offset % told.block->preferred == 0 &&
                 request.offset + request.length + step <= told.size) {
                 request.offset += step;
             }
         })},
        {"payload-too-large", "REQUEST-PAYLOAD", "writes more at once than the maximum payload",
         payload_too_large()},
        {"payload-beyond-default", "REQUEST-PAYLOAD-DEFAULT",
         "reads more than 32 MiB at once where no maximum payload is told",
         request_before([](const Request& /*next*/, const Conversation& told) {
             constexpr std::uint64_t length = std::uint64_t{nbd::default_max_payload} + 512;
             return !told.block && length <= told.size ? std::optional(aside(told, Command::read, 0, length))
                                                       : std::nullopt;
         })},
        {"read-length", "READ-LENGTH", "asks for 4 GiB by one read with extended headers",
         request_before([](const Request& /*next*/, const Conversation& told) {
             constexpr std::uint64_t length = std::uint64_t{1} << 32;
             return told.extended && length <= told.size
                        ? std::optional(aside(told, Command::read, 0, length))
                        : std::nullopt;
         })},
        {"write-data-long", "WRITE-PAYLOAD", "sends a byte more than the length of a write says",
         on(Command::write, [](Request& request) { request.payload.push_back(0); })},
        {"write-data-short", "WRITE-PAYLOAD", "sends a byte less than the length of a write says",
         on(Command::write,
            [](Request& request) {
                if (!request.payload.empty()) {
                    request.payload.pop_back();
                }
            })},
        {"flush-with-length", "FLUSH-ZERO", "sends NBD_CMD_FLUSH with a length of 512",
         on(Command::flush, [](Request& request) { request.length = 512; })},
        {"flush-with-offset", "FLUSH-ZERO", "sends NBD_CMD_FLUSH with an offset of 512",
         moved(Command::flush,
               [](const Request& /*request*/, const Conversation& /*told*/) { return std::uint64_t{512}; })},
        {"disc-with-length", "DISC-ZERO", "sends NBD_CMD_DISC with a length of 512",
         on(Command::disc, [](Request& request) { request.length = 512; })},
        {"disc-with-offset", "DISC-ZERO", "sends NBD_CMD_DISC with an offset of 512",
         on(Command::disc, [](Request& request) { request.offset = 512; })},
    };
}

} // namespace faults
