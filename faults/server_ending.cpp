// Faults of how connections end (Terminating the transmission phase, NBD_CMD_DISC).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <atomic>
#include <memory>

namespace faults {

using nbd::Command;

namespace {

/// Requests that are served before a server that hangs up does so.
constexpr std::uint64_t patience = 4;

/// What the connections of a server know of each other.
struct Shared {
    std::atomic<std::uint64_t> left_badly{0}; ///< connections that have ended without NBD_CMD_DISC
    std::atomic<bool> next_is_lost{false};
};

/// What one of them knows of itself.
struct Own {
    std::shared_ptr<Shared> shared = std::make_shared<Shared>();
    std::uint64_t seen = 0; ///< how many had left badly when it began
    bool over = false;
    bool lost = false;
};

/// A connection that ends in the transmission phase without NBD_CMD_DISC takes along all others, and the next
/// one that is made.
void end_badly(Own& own, const Conversation& told) {
    if (told.transmission && !std::exchange(own.over, true)) {
        own.seen = ++own.shared->left_badly;
        own.shared->next_is_lost = true;
    }
}

Recipe takes_others_along() {
    return twist_with(
        Own{},
        [](Own& own, Greeting& /*greeting*/) {
            own.seen = own.shared->left_badly;
            own.lost = own.shared->next_is_lost.exchange(false);
        },
        [](Own& own, Request& request, Flow& flow) {
            own.over = own.over || request.type == Command::disc;
            if (own.lost || (own.seen != own.shared->left_badly && !own.over)) {
                own.over = true;
                flow.hang_up();
            }
        },
        [](Own& own, Raw& raw, Flow& flow) {
            if (raw.from == Side::client) {
                end_badly(own, flow.told());
            }
        },
        [](Own& own, Ended ended, Flow& flow) {
            if (ended.who == Side::client) {
                end_badly(own, flow.told());
            }
        });
}

} // namespace

Table ending_faults() {
    return {
        {"disc-answered", "DISC-NO-REPLY", "answers NBD_CMD_DISC",
         on_request(Command::disc,
                    [](Request& request, Flow& flow) { flow.to_client(success(flow.told(), request)); })},
        {"disc-refused", "DISC-NO-REPLY", "answers NBD_CMD_DISC with NBD_EINVAL",
         on_request(Command::disc,
                    [](Request& request, Flow& flow) {
                        flow.to_client(failure(flow.told(), request, nbd::Error::inval));
                    })},
        {"disc-unimplemented", "BASELINE-DISC", "takes NBD_CMD_DISC for an unknown command",
         on_request(Command::disc,
                    [](Request& request, Flow& flow) {
                        answer(flow, failure(flow.told(), request, nbd::Error::inval));
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
        {"shutdown-other-error", "SHUTDOWN-ERROR",
         "answers NBD_ESHUTDOWN to the fifth request and NBD_EIO to those after it",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && flow.told().requests > patience &&
                 is_sound(flow.told(), request)) {
                 const bool first = flow.told().requests == patience + 1;
                 answer(flow, failure(flow.told(), request, first ? nbd::Error::shutdown : nbd::Error::io));
             }
         })},
        {"shutdown-at-once", "SHUTDOWN-WAITS",
         "answers NBD_ESHUTDOWN to the fifth request and closes the connection, whatever else is in flight",
         twist([](Request& request, Flow& flow) {
             if (request.type != Command::disc && flow.told().requests > patience &&
                 is_sound(flow.told(), request)) {
                 flow.to_client(failure(flow.told(), request, nbd::Error::shutdown));
                 flow.hang_up();
             }
         })},
        {"leaving-takes-others", "NO-DISCONNECT",
         "closes all connections, and the next one, when one of them ends without NBD_CMD_DISC",
         takes_others_along()},
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
