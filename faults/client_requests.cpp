// Faults of clients in the transmission phase: what they send wrongly, and what they wrongly accept. The
// latter are twists that mend what the server sends before the client sees it.

#include "faults/make.hpp"
#include "faults/tables.hpp"

namespace faults {

Table client_request_faults() {
    return {
        {"request-magic", "REQUEST-MAGIC", "begins requests with another magic number",
         twist([](Request& request) { request.magic += 1; })},
        {"flush-with-length", "FLUSH-ZERO", "sends NBD_CMD_FLUSH with a length of 512",
         twist([](Request& request) {
             if (request.type == nbd::Command::flush) {
                 request.length = 512;
             }
         })},
        {"accept-unknown-reply-flags", "ACCEPT-CHUNK-FLAGS", "takes chunks with any reply flags",
         twist([](Chunk& chunk) { chunk.flags &= nbd::reply_flag::done; })},
    };
}

} // namespace faults
