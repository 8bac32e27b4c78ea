// Faults of what commands do (Request types, Command flags).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;
using nbd::Error;

namespace ask = nbd::command_flag;

namespace {

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t kib64 = 65536;

bool unknown(const Request& request) {
    return request.type > Command::resize;
}

/// The request reaches further on both sides, to whole blocks, as far as the export goes.
void widen(Request& request, std::uint64_t block, std::uint64_t size) {
    const std::uint64_t end = std::min(size, (request.offset + request.length + block - 1) / block * block);
    request.offset = request.offset / block * block;
    request.length = end - request.offset;
}

Table writing() {
    return {
        {"write-unimplemented", "BASELINE-WRITE", "refuses all writes",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write;
                      })},
        {"write-no-space", "ALLOCATION-NO-SPACE", "has no space for writes, not even where it is allocated",
         refuse_sound(Error::nospc,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write;
                      })},
        {"write-lost", "WRITE-DONE", "answers writes with success and writes nothing",
         pretend([](const Request& request, const Conversation& told) {
             return request.type == Command::write && is_sound(told, request);
         })},
        {"write-half", "WRITE-DONE", "writes only the first half of the data",
         on_request(Command::write,
                    [](Request& request, Flow& flow) {
                        if (is_sound(flow.told(), request)) {
                            request.length /= 2;
                            request.payload.resize(static_cast<std::size_t>(request.length));
                        }
                    })},
        {"write-byte-late", "WRITE-DONE", "writes one byte too late",
         mistake([](Request& request, const Conversation& told) {
             const bool moves = request.type == Command::write && request.offset + request.length < told.size;
             request.offset += moves ? std::uint64_t{1} : 0;
         })},
        {"write-once", "REQUEST-ANSWERED", "does nothing any more after its first write",
         twist([stuck = false](Request& request, Flow& flow) mutable {
             if (stuck && request.type != Command::disc) {
                 flow.drop();
             }
             stuck = stuck || request.type == Command::write;
         })},
        {"write-refused-data-read", "REPLY-COOKIE",
         "takes the data of a write beyond the end for the next request",
         on_request(Command::write,
                    [](Request& request, Flow& flow) {
                        if (past_end(flow.told(), request)) {
                            answer(flow, failure(flow.told(), request, Error::nospc));
                            flow.to_server(Raw{Side::client, request.payload});
                        }
                    })},
        {"write-flags-in-type", "SERVER-NO-HANG-UP",
         "reads flags and type as one number, and closes the connection on a write with NBD_CMD_FLAG_FUA",
         twist([](Request& request, Flow& flow) {
             if (request.type == Command::write && (request.flags & ask::fua) != 0) {
                 flow.hang_up();
             }
         })},
        {"fua-refused", "FUA-ACCEPTED", "refuses commands with NBD_CMD_FLAG_FUA",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return (request.flags & ask::fua) != 0;
                      })},
        {"fua-refused-on-flush", "FUA-ACCEPTED", "refuses NBD_CMD_FLUSH with NBD_CMD_FLAG_FUA",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::flush && (request.flags & ask::fua) != 0;
                      })},
        {"flush-ignored", "FLUSH-DURABLE", "answers NBD_CMD_FLUSH with success and does nothing",
         pretend([](const Request& request, const Conversation& /*told*/) {
             return request.type == Command::flush;
         })},
        {"flush-length-read", "REQUEST-ANSWERED", "takes the length of NBD_CMD_FLUSH for that of a payload",
         twist([due = std::uint64_t{0}](Request& request, Flow& flow) mutable {
             constexpr std::uint64_t header = 28;
             if (due > 0) {
                 due -= std::min(due, header + request.payload.size());
                 flow.drop();
             } else if (request.type == Command::flush) {
                 due = request.length;
             }
         })},
        {"trim-outside", "TRIM-INSIDE", "trims whole blocks of 4096 bytes",
         mistake([](Request& request, const Conversation& told) {
             if (request.type == Command::trim) {
                 widen(request, 4096, told.size);
             }
         })},
        {"cache-changes", "CACHE-HARMLESS", "zeroes what it is asked to cache",
         mistake([](Request& request, const Conversation& told) {
             const bool writable = (told.flags & nbd::transmission_flag::read_only) == 0;
             request.type = request.type == Command::cache && writable ? Command::write_zeroes : request.type;
         })},
    };
}

Table zeroing() {
    return {
        {"zeroes-lost", "ZEROES-READ-BACK", "answers NBD_CMD_WRITE_ZEROES with success and zeroes nothing",
         pretend([](const Request& request, const Conversation& told) {
             return request.type == Command::write_zeroes && is_sound(told, request);
         })},
        {"zeroes-first-64k", "ZEROES-READ-BACK", "zeroes 64 KiB at most",
         on_request(Command::write_zeroes,
                    [](Request& request, Flow& flow) {
                        if (is_sound(flow.told(), request)) {
                            request.length = std::min(request.length, kib64);
                        }
                    })},
        {"zeroes-outside", "ZEROES-READ-BACK", "zeroes whole sectors",
         mistake([](Request& request, const Conversation& told) {
             if (request.type == Command::write_zeroes) {
                 widen(request, sector, told.size);
             }
         })},
        {"zeroes-small-refused", "BLOCK-SIZE-DEFAULT", "refuses to zero less than 4096 bytes",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write_zeroes && request.length < 4096;
                      })},
        {"no-hole-refused", "NO-HOLE-ACCEPTED", "refuses NBD_CMD_FLAG_NO_HOLE",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write_zeroes && (request.flags & ask::no_hole) != 0;
                      })},
        {"fast-zero-refused", "FAST-ZERO", "answers NBD_EINVAL to NBD_CMD_FLAG_FAST_ZERO",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write_zeroes &&
                                 (request.flags & ask::fast_zero) != 0;
                      })},
        {"fast-zero-overflow", "FAST-ZERO-NO-OVERFLOW", "answers NBD_EOVERFLOW to NBD_CMD_FLAG_FAST_ZERO",
         refuse_sound(Error::overflow,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write_zeroes &&
                                 (request.flags & ask::fast_zero) != 0;
                      })},
        {"fast-zero-unoffered", "FAST-ZERO-REFUSED",
         "leaves NBD_FLAG_SEND_FAST_ZERO clear and serves NBD_CMD_FLAG_FAST_ZERO",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& flags, const Conversation& /*told*/) {
             flags &= static_cast<std::uint16_t>(~nbd::transmission_flag::send_fast_zero);
         })},
        {"fast-zero-unasked", "FAST-ZERO-UNASKED",
         "answers NBD_ENOTSUP to writes of zeroes without NBD_CMD_FLAG_FAST_ZERO",
         refuse_sound(Error::notsup,
                      [](const Request& request, const Conversation& /*told*/) {
                          return request.type == Command::write_zeroes &&
                                 (request.flags & ask::fast_zero) == 0;
                      })},
        {"fast-zero-done", "FAST-ZERO-UNCHANGED", "zeroes what it answers NBD_ENOTSUP to",
         twist(
             [](Reply& reply, Flow& flow) {
                 const auto request = flow.told().request(reply.cookie);
                 if (request && (request->flags & ask::fast_zero) != 0) {
                     answer(flow, failure(flow.told(), *request, Error::notsup));
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 const auto request = flow.told().request(chunk.cookie);
                 if (request && (request->flags & ask::fast_zero) != 0) {
                     answer(flow, failure(flow.told(), *request, Error::notsup));
                 }
             })},
    };
}

Table unknown_ones() {
    return {
        {"command-unknown-served", "COMMAND-REFUSED", "answers unknown commands with success",
         pretend([](const Request& request, const Conversation& /*told*/) { return unknown(request); })},
        {"command-unknown-other-error", "COMMAND-REFUSED", "answers unknown commands with NBD_EIO",
         refuse(Error::io,
                [](const Request& request, const Conversation& /*told*/) { return unknown(request); })},
        {"command-unknown-hangs-up", "COMMAND-REFUSED", "closes the connection on an unknown command",
         twist([](Request& request, Flow& flow) {
             if (unknown(request)) {
                 flow.hang_up();
             }
         })},
        {"command-unknown-silent", "REQUEST-ANSWERED", "does not answer unknown commands",
         twist([](Request& request, Flow& flow) {
             if (unknown(request)) {
                 flow.drop();
             }
         })},
        {"flag-unknown-ignored", "COMMAND-FLAG-REFUSED", "does not mind unknown command flags",
         twist([](Request& request) { request.flags &= known_command_flags(); })},
        {"flag-misplaced-ignored", "COMMAND-FLAG-MISPLACED",
         "does not mind flags that are not for the command", twist([](Request& request) {
             if (flag_misplaced(request)) {
                 request.flags &= ask::fua;
             }
         })},
        {"flag-cache-ignored", "CACHE-FLAGS", "does not mind unknown flags of NBD_CMD_CACHE",
         on_request(Command::cache, [](Request& request, Flow& /*flow*/) { request.flags &= ask::fua; })},
    };
}

} // namespace

Table command_faults() {
    return joined({writing, zeroing, unknown_ones});
}

} // namespace faults
