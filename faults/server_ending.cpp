// Faults of how connections end (Terminating the transmission phase, NBD_CMD_DISC).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;

namespace {

/// Requests that are served before a server that hangs up does so.
constexpr std::uint64_t patience = 4;

} // namespace

Table ending_faults() {
    return {
        {"disc-answered", "DISC-CLOSES", "answers NBD_CMD_DISC",
         on_request(Command::disc,
                    [](Request& request, Flow& flow) { flow.to_client(success(flow.told(), request)); })},
        {"disc-refused", "DISC-CLOSES", "answers NBD_CMD_DISC with NBD_EINVAL",
         on_request(Command::disc,
                    [](Request& request, Flow& flow) {
                        flow.to_client(failure(flow.told(), request, nbd::Error::inval));
                    })},
        {"disc-ignored", "DISC-CLOSES", "does not close the connection on NBD_CMD_DISC",
         on_request(Command::disc, [](Request& /*request*/, Flow& flow) { flow.drop(); })},
        {"disc-drops-outstanding", "DISC-OUTSTANDING",
         "closes the connection on NBD_CMD_DISC though there are requests to answer",
         on_request(Command::disc, [](Request& /*request*/, Flow& flow) { flow.hang_up(); })},
        {"hangs-up", "SERVER-NO-HANG-UP", "closes the connection on the fifth request",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && flow.told().requests > patience &&
                 flow.told().asked.size() == 1) {
                 flow.hang_up();
             }
         })},
        {"resets", "SERVER-NO-HANG-UP", "resets the connection on the fifth request",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && flow.told().requests > patience &&
                 flow.told().asked.size() == 1) {
                 flow.reset();
             }
         })},
        {"hangs-up-in-reply", "SERVER-NO-HANG-UP", "closes the connection in the middle of a reply to a read",
         on_read([](const Request& request, nbd::Buffer& data, Flow& flow) {
             nbd::Buffer bytes = encode(content(flow.told(), request, data));
             bytes.resize(bytes.size() / 2);
             flow.to_client(Raw{Side::server, bytes});
             flow.hang_up();
         })},
    };
}

} // namespace faults
