// Faults of clients at the end of the transmission phase (Terminating the transmission phase).

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

namespace faults {
namespace {

using nbd::Command;

bool tells_error(const Chunk& chunk, nbd::Error error) {
    const auto told = payload_as<nbd::AnyErrorChunk>(chunk.payload);
    return nbd::is_error(chunk.type) && told && told->error == error;
}

/// Leaves where it would send NBD_CMD_DISC, if the server has said that it is shutting down, or only if not.
Recipe leave_without_disc(bool after_shutdown) {
    return twist_with(
        false, [](bool& told, Reply& reply) { told = told || reply.error == nbd::Error::shutdown; },
        [](bool& told, Chunk& chunk) { told = told || tells_error(chunk, nbd::Error::shutdown); },
        [after_shutdown](bool& told, Request& request, Flow& flow) {
            if (request.type == Command::disc && told == after_shutdown) {
                flow.drop();
                flow.hang_up();
            }
        });
}

/// Sends a read before or behind NBD_CMD_DISC, as `order` does.
template <class Order>
Recipe at_disc(Order order) {
    return twist(
        [order](Request& request, Flow& flow) {
            if (request.type == Command::disc) {
                order(flow, aside(flow.told(), Command::read, 0, small_length(flow.told())));
            }
        },
        keep_reply, keep_chunk);
}

/// Answers what is open in the server's place, and the requests that come after the server has gone.
Recipe lost_requests_succeed() {
    return twist(
        [](Raw& raw, Flow& flow) {
            if (raw.from == Side::server) {
                flow.drop();
            }
        },
        [](Ended ended, Flow& flow) {
            if (ended.who != Side::server) {
                return;
            }
            const OpenRequests open = flow.told().asked;
            for (const auto& [cookie, request] : open) {
                flow.to_client(any_success(flow.told(), request));
            }
        });
}

} // namespace

Table client_leaving_faults() {
    return {
        {"disc-missing", "CLIENT-SOFT-END", "leaves without NBD_CMD_DISC", leave_without_disc(false)},
        {"disc-missing-after-shutdown", "SHUTDOWN-DISC", "leaves without NBD_CMD_DISC after NBD_ESHUTDOWN",
         leave_without_disc(true)},
        {"disc-unsettled", "DISC-SETTLED", "sends NBD_CMD_DISC before a read is answered",
         at_disc([](Flow& flow, const Request& extra) { flow.to_server(extra); })},
        {"request-after-disc", "DISC-ENDS", "sends a read after NBD_CMD_DISC",
         at_disc([](Flow& flow, const Request& extra) {
             flow.forward();
             flow.to_server(extra);
         })},
        {"leave-on-error", "NO-DISCONNECT", "leaves, without NBD_CMD_DISC, as soon as a request fails",
         twist(
             [](Reply& reply, Flow& flow) {
                 if (reply.error != nbd::Error::none) {
                     flow.hang_up();
                 }
             },
             [](Chunk& chunk, Flow& flow) {
                 if (nbd::is_error(chunk.type)) {
                     flow.hang_up();
                 }
             })},
        {"lost-requests-succeed", "CONNECTION-LOST",
         "takes requests for done that the server has not answered when it goes", lost_requests_succeed()},
    };
}

} // namespace faults
