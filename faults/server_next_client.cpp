// Faults that the next client notices: what a server makes of one that has left (Termination of the session
// during option haggling, NBD_OPT_ABORT).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace faults {

using nbd::Option;

namespace {

using Clock = std::chrono::steady_clock;

/// A client that awaits a reply cannot leave earlier than this after it was handled.
constexpr std::chrono::milliseconds held_back{50};

/// What the connections of a server have in common: a client has left in a way that the server does not bear.
using Upset = std::shared_ptr<std::atomic<bool>>;

/// For it to be known how the client before has left, which another thread sees.
constexpr std::chrono::milliseconds settled{100};

/// The next client is hung up on instead of being answered; those behind it are served.
Recipe upset_by(const Upset& upset, Recipe leaving) {
    return both(
        early(twist_with(
            false,
            [](bool& /*gone*/, OptionRequest& /*option*/, Flow& flow) {
                if (flow.told().options == 1) {
                    flow.pause(Side::server, settled);
                }
            },
            [upset](bool& gone, OptionReply& /*reply*/, Flow& flow) {
                if (!gone && upset->exchange(false)) {
                    flow.hang_up();
                }
            },
            [](bool& gone, Ended ended, Flow& /*flow*/) { gone = gone || ended.who == Side::client; })),
        std::move(leaving));
}

/// Clients that leave before they are let in, without NBD_OPT_ABORT, or have sent requests by then.
Recipe upset_by_leaving() {
    const auto upset = std::make_shared<std::atomic<bool>>(false);
    return upset_by(
        upset,
        twist_with(
            false,
            [](bool& hasty, Request& /*request*/, Flow& flow) { hasty = hasty || !flow.told().transmission; },
            [upset](bool& hasty, Ended ended, Flow& flow) {
                const auto& last = flow.told().option;
                const bool aborted = last && last->option == Option::abort;
                if (ended.who == Side::client && !aborted && (hasty || flow.told().requests == 0)) {
                    *upset = true;
                }
            }));
}

/// Clients whose first option is NBD_OPT_ABORT, so that the server is not upset by all who leave.
Recipe upset_by_abort() {
    const auto upset = std::make_shared<std::atomic<bool>>(false);
    return upset_by(upset,
                    twist_with(
                        std::optional<Clock::time_point>{},
                        [](std::optional<Clock::time_point>& answered, OptionReply& reply, Flow& flow) {
                            if (reply.option == Option::abort && flow.told().options == 1) {
                                flow.pause(Side::client, held_back);
                                answered = Clock::now();
                            }
                        },
                        [upset](std::optional<Clock::time_point>& answered, Ended ended, Flow& flow) {
                            const bool only =
                                flow.told().options == 1 && flow.told().option->option == Option::abort;
                            if (ended.who == Side::client && only &&
                                (!answered || Clock::now() - *answered < held_back)) {
                                *upset = true;
                            }
                        }));
}

} // namespace

Table next_client_faults() {
    return {
        {"leaving-upsets", "HANDSHAKE-COMPLETES",
         "hangs up on the next client when one has left in the handshake without NBD_OPT_ABORT",
         upset_by_leaving()},
        {"abort-unawaited-upsets", "ABORT-UNAWAITED",
         "hangs up on the next client when one has not awaited the answer to NBD_OPT_ABORT",
         upset_by_abort()},
    };
}

} // namespace faults
