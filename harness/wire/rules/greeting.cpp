// Handshake: greetings and client flags, and bytes that are no message at all.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

#include <fmt/format.h>

namespace wire {
namespace {

constexpr std::uint16_t known_handshake_flags =
    nbd::handshake_flag::fixed_newstyle | nbd::handshake_flag::no_zeroes;
constexpr std::uint32_t known_client_flags = nbd::client_flag::fixed_newstyle | nbd::client_flag::no_zeroes;

/// A rule that a kind of stray bytes breaks in any case.
template <StrayEvent::Kind kind>
Wrong is(const StrayEvent& event) {
    return event.kind == kind ? fmt::format("found 0x{:x}", event.found) : Wrong();
}

using Kind = StrayEvent::Kind;

constexpr Rule<GreetingEvent> greetings[] = {
    {"HANDSHAKE-FLAGS-KNOWN",
     [](const GreetingEvent& event) {
         return event.oldstyle
                    ? Wrong()
                    : unknown_bits("handshake flags", event.handshake_flags, known_handshake_flags);
     }},
    {"OLDSTYLE-FLAGS-CLEAR",
     [](const GreetingEvent& event) {
         return event.oldstyle ? unknown_bits("handshake flags", event.handshake_flags, 0) : Wrong();
     }},
    {"OLDSTYLE-ZEROES",
     [](const GreetingEvent& event) {
         return when(!event.padding_is_zero, "the 124 bytes behind the flags are not all zero");
     }},
};

constexpr Rule<ClientFlagsEvent> client_flags[] = {
    {"CLIENT-FLAGS-KNOWN",
     [](const ClientFlagsEvent& event) {
         return unknown_bits("client flags", event.flags, known_client_flags);
     }},
    {"CLIENT-FLAGS-OFFERED",
     [](const ClientFlagsEvent& event) {
         const bool offered = (event.state.handshake_flags & nbd::handshake_flag::no_zeroes) != 0;
         return when((event.flags & nbd::client_flag::no_zeroes) != 0 && !offered,
                     "NBD_FLAG_C_NO_ZEROES is set, NBD_FLAG_NO_ZEROES was not");
     }},
};

constexpr Rule<StrayEvent> strays[] = {
    {"GREETING-MAGIC", is<Kind::greeting_magic>},
    {"GREETING-STYLE", is<Kind::greeting_style>},
    {"HARD-END-CLIENT", is<Kind::aborts_without_tls>},
    {"STARTTLS-NO-CLEAR", is<Kind::not_over_tls>},
    {"STARTTLS-UPGRADE", is<Kind::no_tls_handshake>},
    {"TLS-FAILED-CLIENT", is<Kind::goes_on_without_tls>},
    {"OPTION-MAGIC", is<Kind::option_magic>},
    {"OPTION-REPLY-MAGIC", is<Kind::option_reply_magic>},
    {"EXPORT-NAME-NO-ERROR", is<Kind::reply_to_export_name>},
    {"GO-ENDS-OPTIONS", is<Kind::option_in_transmission>},
    {"ENTERED-BEFORE-REQUESTS", is<Kind::before_reply>},
    {"ABORT-ENDS", is<Kind::after_abort>},
    {"REQUEST-MAGIC", is<Kind::request_magic>},
    {"REPLY-MAGIC", is<Kind::reply_magic>},
    {"NO-PADDING", is<Kind::padding>},
    {"DISC-ENDS", is<Kind::after_disconnect>},
};

} // namespace

std::span<const Rule<GreetingEvent>> greeting_rules() {
    return greetings;
}

std::span<const Rule<ClientFlagsEvent>> client_flags_rules() {
    return client_flags;
}

std::span<const Rule<StrayEvent>> stray_rules() {
    return strays;
}

} // namespace wire
