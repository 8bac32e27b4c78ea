// Faults of replies as such: magic number, cookie, number (Simple reply message, Structured reply chunk
// message).

#include "faults/answers.hpp"
#include "faults/make.hpp"
#include "faults/tables.hpp"

namespace faults {

Table reply_faults() {
    return {
        {"reply-magic", "REPLY-MAGIC", "begins replies with another magic number",
         twist([](Reply& reply) { reply.magic += 1; }, [](Chunk& chunk) { chunk.magic += 1; })},
        {"reply-cookie-off-by-one", "REPLY-COOKIE", "answers with the next cookie",
         twist([](Reply& reply) { reply.cookie += 1; }, [](Chunk& chunk) { chunk.cookie += 1; })},
        {"write-lost", "WRITE-DONE", "answers writes with success and writes nothing",
         twist([](Request& request, Flow& flow) {
             if (request.type == nbd::Command::write) {
                 flow.to_client(success(flow.told(), request));
                 flow.drop();
             }
         })},
        {"read-byte-early", "READ-DATA", "reads one byte too early", twist([](Request& request) {
             if (request.type == nbd::Command::read && request.offset > 0) {
                 request.offset -= 1;
             }
         })},
    };
}

} // namespace faults
