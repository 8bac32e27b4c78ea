// Exports of unusual sizes.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;
using nbd::Error;

namespace {

/// The errors that belong to requests beyond the end.
Error past_end_error(Command command) {
    return command == Command::write || command == Command::write_zeroes ? Error::nospc : Error::inval;
}

/// An export of another size than the server has. What the server does not have reads as zeroes and cannot be
/// written.
Recipe sized(std::uint64_t size) {
    return twist(
        [size](OptionReply& reply) {
            if (info_type(reply) == nbd::InfoType::export_) {
                edit<nbd::InfoExport>(reply.payload, [&](nbd::InfoExport& told) { told.size = size; });
            }
        },
        [size](ExportReply& reply) { reply.size = size; },
        [size](Request& request, Flow& flow) {
            const Conversation& told = flow.told();
            const bool within = request.offset <= size && request.length <= size - request.offset;
            const bool flags_wrong = flag_misplaced(request) || (request.flags & ~known_command_flags()) != 0;
            if (request.type > Command::block_status || request.type == Command::disc ||
                request.type == Command::flush || (within && (flags_wrong || !past_end(told, request)))) {
                return;
            }
            if (!within) {
                const bool read_only = (told.flags & nbd::transmission_flag::read_only) != 0;
                const Error error =
                    read_only && changes_disk(request.type) ? Error::perm : past_end_error(request.type);
                answer(flow, failure(told, request, error));
            } else if (request.type == Command::read) {
                answer(flow, any_success(told, request));
            } else if (request.type != Command::block_status) {
                answer(flow,
                       failure(told, request, changes_disk(request.type) ? Error::nospc : Error::inval));
            } else {
                answer(flow, failure(told, request, told.contexts.empty() ? Error::inval : Error::io));
            }
        },
        [size](Chunk& chunk, Flow& flow) {
            const auto request = flow.told().request(chunk.cookie);
            if (request && chunk.type == nbd::ChunkType::block_status) {
                edit<nbd::BlockStatus>(chunk.payload, [&](nbd::BlockStatus& status) {
                    std::uint64_t left = size - request->offset;
                    for (nbd::StatusDescriptor& extent : status.descriptors) {
                        extent.length =
                            static_cast<std::uint32_t>(std::min<std::uint64_t>(extent.length, left));
                        left -= extent.length;
                    }
                });
            }
        });
}

} // namespace

Table size_oddities() {
    constexpr std::uint64_t two_63 = std::uint64_t{1} << 63;
    return {
        {"size-zero", "EXPORT-SIZE-ANY", "has an export of no bytes", sized(0)},
        {"size-one", "EXPORT-SIZE-ANY", "has an export of 1 byte", sized(1)},
        {"size-513", "EXPORT-SIZE-ANY", "has an export of 513 bytes", sized(513)},
        {"size-1000", "EXPORT-SIZE-ANY", "has an export of 1000 bytes", sized(1000)},
        {"size-terabyte", "EXPORT-SIZE-ANY", "has an export of 2^40+512 bytes",
         sized((std::uint64_t{1} << 40) + 512)},
        {"size-63-bits-blocks", "EXPORT-SIZE-ANY", "has an export of 2^63-512 bytes", sized(two_63 - 512)},
        {"size-63-bits", "EXPORT-SIZE-ANY", "has an export of 2^63-1 bytes", sized(two_63 - 1)},
        {"size-64-bits", "EXPORT-SIZE-ANY", "has an export of 2^64-512 bytes",
         sized(~std::uint64_t{0} - 511)},
    };
}

} // namespace faults
