#include "reference-client/fragility.hpp"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>

namespace refclient {
namespace {

constexpr Fragility fragilities[] = {
    {"abort-on-bad-handshake", "HARD-END-CLIENT", "aborts when the server breaks a rule in the handshake",
     Phase::handshake, FailureKind::protocol, Collapse::abort},
    {"wait-on-bad-handshake", "HARD-END-CLIENT",
     "keeps the connection and waits for ever when the server breaks a rule in the handshake",
     Phase::handshake, FailureKind::protocol, Collapse::wait},
    {"abort-on-refusal", "HAGGLING-SOFT-END", "aborts when the server refuses an option that it needs",
     Phase::handshake, FailureKind::server, Collapse::abort},
    {"abort-on-lost-handshake", "CONNECTION-LOST",
     "aborts when the connection goes while options are negotiated", Phase::handshake,
     FailureKind::connection, Collapse::abort},
    {"wait-on-lost-handshake", "CONNECTION-LOST",
     "waits for ever when the connection goes while options are negotiated", Phase::handshake,
     FailureKind::connection, Collapse::wait},
    {"abort-on-bad-reply", "CONNECTION-LOST", "aborts when a reply breaks a rule", Phase::transmission,
     FailureKind::protocol, Collapse::abort},
    {"wait-on-bad-reply", "CHUNK-INCONSISTENT",
     "keeps the connection and waits for ever when a reply breaks a rule", Phase::transmission,
     FailureKind::protocol, Collapse::wait},
    {"abort-on-failed-request", "NO-DISCONNECT", "aborts when a request fails", Phase::transmission,
     FailureKind::server, Collapse::abort},
    {"abort-on-lost-connection", "CONNECTION-LOST", "aborts when the connection goes", Phase::transmission,
     FailureKind::connection, Collapse::abort},
    {"wait-on-lost-connection", "CONNECTION-LOST", "waits for ever when the connection goes",
     Phase::transmission, FailureKind::connection, Collapse::wait},
};

} // namespace

std::span<const Fragility> all_fragilities() {
    return fragilities;
}

const Fragility* find_fragility(std::string_view name) {
    const auto* const found = std::ranges::find(fragilities, name, &Fragility::name);
    return found == std::end(fragilities) ? nullptr : found;
}

void meet_trouble(const Fragility* fragility, Phase phase, FailureKind trouble) {
    if (fragility == nullptr || fragility->phase != phase || fragility->trouble != trouble) {
        return;
    }
    if (fragility->collapse == Collapse::abort) {
        std::abort();
    }
    for (;;) {
        ::pause();
    }
}

} // namespace refclient
