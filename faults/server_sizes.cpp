// Faults of what servers make of block sizes and of long requests (Size constraints).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <set>

namespace faults {

using nbd::Command;
using nbd::Error;
using nbd::InfoType;
using nbd::Option;
using nbd::OptionReplyType;

namespace ask = nbd::command_flag;

namespace {

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t block = 4096;
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

bool aligned(const Request& request, std::uint64_t unit) {
    return request.offset % unit == 0 && request.length % unit == 0;
}

bool carries_data(const Request& request) {
    return request.type == Command::read || request.type == Command::write;
}

/// Without a payload in either direction, and with a range.
bool has_effect(const Request& request) {
    return request.type == Command::trim || request.type == Command::write_zeroes ||
           request.type == Command::cache || request.type == Command::block_status;
}

Table block_sizes() {
    return {
        {"block-size-demanded", "INTEROP-BLOCK-SIZE-OPTIONAL",
         "lets nobody in who does not ask for the block sizes", twist([](OptionRequest& option, Flow& flow) {
             const auto asked = payload_as<nbd::InfoRequest>(option.payload);
             if (asks_info(option.option) && asked &&
                 std::ranges::find(asked->requests, InfoType::block_size) == asked->requests.end()) {
                 flow.to_client(option_reply(
                     option.option, OptionReplyType::info,
                     nbd::encode(nbd::InfoBlockSize{InfoType::block_size, sector, block, 32 * mib})));
                 answer(flow, option_reply(option.option, OptionReplyType::err_block_size_reqd));
             }
         })},
        {"block-size-untold", "BLOCK-SIZE-TOLD", "serves nothing but whole sectors, and does not say so",
         twist(
             [](OptionReply& reply, Flow& flow) {
                 if (info_type(reply) == InfoType::block_size) {
                     flow.drop();
                 }
             },
             [](Request& request, Flow& flow) {
                 if (request.type != Command::disc && is_sound(flow.told(), request) &&
                     !aligned(request, sector)) {
                     answer(flow, failure(flow.told(), request, Error::inval));
                 }
             })},
        {"unaligned-hangs-up", "BLOCK-SIZE-CLEAN-ERROR",
         "closes the connection on a request that is not aligned to 4096 bytes",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && is_sound(flow.told(), request) &&
                 !aligned(request, block)) {
                 flow.hang_up();
             }
         })},
        {"unaligned-zeroes", "BLOCK-SIZE-CLEAN-ERROR",
         "zeroes the whole blocks around a write that it refuses as unaligned",
         twist_with(
             std::set<std::uint64_t>{},
             [](std::set<std::uint64_t>& refused, Request& request, Flow& flow) {
                 const bool writes = request.type == Command::write || request.type == Command::write_zeroes;
                 if (writes && is_sound(flow.told(), request) && !aligned(request, block)) {
                     refused.insert(request.cookie);
                     request.type = Command::write_zeroes;
                     request.payload.clear();
                     request.flags = 0;
                     request.offset -= request.offset % block;
                     request.length = std::min(block, flow.told().size - request.offset);
                 }
             },
             [](std::set<std::uint64_t>& refused, Reply& reply) {
                 if (refused.erase(reply.cookie) != 0) {
                     reply.error = Error::inval;
                 }
             },
             [](std::set<std::uint64_t>& refused, Chunk& chunk, Flow& flow) {
                 const auto request = flow.told().request(chunk.cookie);
                 if (request && refused.erase(chunk.cookie) != 0) {
                     answer(flow, failure(flow.told(), *request, Error::inval));
                 }
             })},
    };
}

Table long_ones() {
    return {
        {"long-read-hangs-up", "PAYLOAD-NO-DENIAL", "closes the connection on a read of more than 1 MiB",
         twist([](Request& request, Flow& flow) {
             if (request.type == Command::read && request.length > mib) {
                 flow.hang_up();
             }
         })},
        {"long-data-unanswered", "REQUEST-ANSWERED", "does not answer reads and writes of more than 32 MiB",
         twist([](Request& request, Flow& flow) {
             if (carries_data(request) && request.length > nbd::default_max_payload) {
                 flow.drop();
             }
         })},
        {"effect-hangs-up", "EFFECT-NO-HANG-UP",
         "closes the connection on a request without a payload that is longer than a payload may be",
         twist([](Request& request, Flow& flow) {
             if (has_effect(request) && request.length > nbd::default_max_payload) {
                 flow.hang_up();
             }
         })},
        {"df-long-split", "PAYLOAD-FURTHER-LIMITS",
         "sends reads of more than 65536 bytes with NBD_CMD_FLAG_DF in chunks of that size",
         on_chunked_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             constexpr std::size_t most = nbd::min_df_read;
             if ((request.flags & ask::df) == 0 || data.size() <= most) {
                 flow.to_client(content(flow.told(), request, data));
                 return;
             }
             for (std::size_t from = 0; from < data.size(); from += most) {
                 const std::size_t to = std::min(from + most, data.size());
                 flow.to_client(data_chunk(flow.told(), request, request.offset + from, part(data, from, to),
                                           to == data.size()));
             }
         })},
    };
}

} // namespace

Table size_faults() {
    return joined({block_sizes, long_ones});
}

} // namespace faults
