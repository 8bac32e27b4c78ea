// Faults of clients that use what the server has not offered, or use what they must not rely on
// (Transmission flags, Request types, Metadata querying).

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>

namespace faults {
namespace {

using nbd::Command;
using nbd::Option;
using nbd::OptionReplyType;
namespace offered = nbd::transmission_flag;

/// Changes the transmission flags that the client gets to see.
template <class Change>
Recipe believing(Change change) {
    return twist(
        [change](OptionReply& reply) {
            auto told = payload_as<nbd::InfoExport>(reply.payload);
            if (reply.type == OptionReplyType::info && told && told->type == nbd::InfoType::export_) {
                change(told->transmission_flags);
                reply.payload = nbd::encode(*told);
            }
        },
        [change](ExportReply& reply) { change(reply.flags); },
        [change](Greeting& greeting) { change(greeting.transmission_flags); });
}

/// The client believes that a context is selected, but the server has not been asked.
Recipe status_unselected() {
    return twist([](OptionRequest& option, Flow& flow) {
        if (option.option != Option::set_meta_context) {
            return;
        }
        flow.drop();
        const nbd::Buffer context = nbd::encode(nbd::MetaContextReply{1, std::string(nbd::base_allocation)});
        flow.to_client(option_reply(option.option, OptionReplyType::meta_context, context));
        flow.to_client(option_reply(option.option, OptionReplyType::ack));
    });
}

/// Reads within what was trimmed, and was not written since, are never sent.
Recipe trimmed_reads_zero() {
    return twist_with(std::vector<Range>(), [](std::vector<Range>& trimmed, Request& request, Flow& flow) {
        const Range range{request.offset, request.offset + request.length};
        const auto overlaps = [&](const Range& other) {
            return range.begin < other.end && other.begin < range.end;
        };
        const auto contains = [&](const Range& other) {
            return range.begin >= other.begin && range.end <= other.end;
        };
        if (request.type == Command::trim) {
            trimmed.push_back(range);
        } else if (changes_disk(request.type)) {
            std::erase_if(trimmed, overlaps);
        } else if (request.type == Command::read && std::ranges::any_of(trimmed, contains)) {
            flow.drop();
            flow.to_client(any_success(flow.told(), request));
        }
    });
}

/// Answers writes in the server's place; what that answers comes too late.
Recipe writes_unanswered() {
    return twist(
        [](Request& request, Flow& flow) {
            if (request.type == Command::write) {
                flow.forward();
                flow.to_client(success(flow.told(), request));
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

/// Changes the extents that the client gets to see.
template <class Change>
void edit_extents(Chunk& chunk, Change change) {
    if (chunk.type == nbd::ChunkType::block_status) {
        if (auto status = payload_as<nbd::BlockStatus>(chunk.payload)) {
            std::ranges::for_each(status->descriptors, change);
            chunk.payload = nbd::encode(*status);
        }
    } else if (chunk.type == nbd::ChunkType::block_status_ext) {
        if (auto status = payload_as<nbd::BlockStatusExt>(chunk.payload)) {
            std::ranges::for_each(status->descriptors, change);
            chunk.payload = nbd::encode(*status);
        }
    }
}

} // namespace

Table client_unoffered_faults() {
    return {
        {"command-unknown", "COMMAND-KNOWN", "sends a command that the specification does not know",
         request_before([](const Request& /*next*/, const Conversation& told) {
             return std::optional(aside(told, static_cast<Command>(99)));
         })},
        {"flush-not-offered", "FLUSH-OFFERED", "sends NBD_CMD_FLUSH where it is not offered",
         request_unoffered(Command::flush, offered::send_flush)},
        {"trim-not-offered", "TRIM-OFFERED", "sends NBD_CMD_TRIM where it is not offered",
         request_unoffered(Command::trim, offered::send_trim)},
        {"cache-not-offered", "CACHE-OFFERED", "sends NBD_CMD_CACHE where it is not offered",
         request_unoffered(Command::cache, offered::send_cache)},
        {"write-zeroes-not-offered", "WRITE-ZEROES-OFFERED",
         "sends NBD_CMD_WRITE_ZEROES where it is not offered",
         request_unoffered(Command::write_zeroes, offered::send_write_zeroes)},
        {"status-without-context", "STATUS-SELECTED",
         "asks for block status without having selected a context", status_unselected()},
        {"request-empty", "REQUEST-NOT-EMPTY", "reads 0 bytes",
         request_before([](const Request& /*next*/, const Conversation& told) {
             return std::optional(aside(told, Command::read));
         })},
        {"many-connections", "MULTI-CONN-OFFERED",
         "opens as many connections as it likes where NBD_FLAG_CAN_MULTI_CONN is clear",
         believing([](std::uint16_t& flags) { flags |= offered::can_multi_conn; })},
        {"flush-swallowed", "INTEROP-FLUSH-FUA", "takes a flush for done without sending NBD_CMD_FLUSH",
         twist([](Request& request, Flow& flow) {
             if (request.type == Command::flush) {
                 flow.drop();
                 flow.to_client(success(flow.told(), request));
             }
         })},
        {"write-swallowed", "BASELINE-WRITE", "takes a write for done without sending NBD_CMD_WRITE",
         twist([](Request& request, Flow& flow) {
             if (request.type == Command::write) {
                 flow.drop();
                 flow.to_client(success(flow.told(), request));
             }
         })},
        {"write-unanswered", "FLUSH-WAITS",
         "takes writes for done as soon as they are sent, so that it flushes before they are answered",
         writes_unanswered()},
        {"trim-reads-zero", "TRIM-NO-ASSUMPTION", "takes for granted that a trimmed area reads as zeroes",
         trimmed_reads_zero()},
        {"hole-reads-zero", "ALLOCATION-HOLE-UNDEFINED",
         "takes for granted that holes read as zeroes whatever their status says", twist([](Chunk& chunk) {
             edit_extents(chunk, [](auto& extent) {
                 if ((extent.status & nbd::allocation_flag::hole) != 0) {
                     extent.status |= nbd::allocation_flag::zero;
                 }
             });
         })},
    };
}

} // namespace faults
