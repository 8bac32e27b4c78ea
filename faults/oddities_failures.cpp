// Commands that fail though nothing is wrong with the request. Clients have to report that; what they do then
// is also what shows whether a command matters to a client at all.

#include "faults/answers.hpp"
#include "faults/make.hpp"
#include "faults/tables.hpp"

namespace faults {
namespace {

/// Answers a command in the server's place.
Recipe fails(nbd::Command command) {
    return twist([command](Request& request, Flow& flow) {
        if (request.type == command) {
            flow.to_client(failure(flow.told(), request, nbd::Error::io));
            flow.drop();
        }
    });
}

} // namespace

Table failure_oddities() {
    return {
        {"fails-read", "NO-DISCONNECT", "answers reads with NBD_EIO", fails(nbd::Command::read)},
        {"fails-write", "NO-DISCONNECT", "answers writes with NBD_EIO", fails(nbd::Command::write)},
        {"fails-flush", "NO-DISCONNECT", "answers NBD_CMD_FLUSH with NBD_EIO", fails(nbd::Command::flush)},
        {"fails-trim", "NO-DISCONNECT", "answers NBD_CMD_TRIM with NBD_EIO", fails(nbd::Command::trim)},
        {"fails-cache", "NO-DISCONNECT", "answers NBD_CMD_CACHE with NBD_EIO", fails(nbd::Command::cache)},
        {"fails-write-zeroes", "NO-DISCONNECT", "answers NBD_CMD_WRITE_ZEROES with NBD_EIO",
         fails(nbd::Command::write_zeroes)},
        {"fails-block-status", "NO-DISCONNECT", "answers NBD_CMD_BLOCK_STATUS with NBD_EIO",
         fails(nbd::Command::block_status)},
    };
}

} // namespace faults
