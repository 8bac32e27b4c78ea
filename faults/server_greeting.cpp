// Faults of the first messages of a server (Newstyle negotiation, Handshake flags, Client flags).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

namespace shake = nbd::handshake_flag;

Table greeting_faults() {
    return {
        {"greeting-magic", "GREETING-MAGIC", "begins with NBDMAGIX",
         twist([](Greeting& greeting) { greeting.magic ^= 'C' ^ 'X'; })},
        {"greeting-style", "GREETING-STYLE", "sends a second magic number that announces no handshake",
         twist([](Greeting& greeting) { greeting.style += 1; })},
        {"greeting-unknown-flag", "HANDSHAKE-FLAGS-KNOWN", "sets a handshake flag that means nothing",
         twist([](Greeting& greeting) { greeting.flags |= 1U << 7; })},
        {"greeting-not-fixed", "BASELINE-FIXED-NEWSTYLE", "leaves NBD_FLAG_FIXED_NEWSTYLE clear",
         unoffered(nbd::handshake_flag::fixed_newstyle, nbd::client_flag::fixed_newstyle)},
        {"greeting-hangs-up", "HAGGLING-NO-HANG-UP", "closes the connection right after its greeting",
         twist([](ClientFlags& /*flags*/, Flow& flow) { flow.hang_up(); })},
        {"greeting-late", "GREETING-FIRST", "says nothing before the client does",
         twist_with(
             std::optional<Greeting>{},
             [](std::optional<Greeting>& held, Greeting& greeting, Flow& flow) {
                 held = greeting;
                 flow.drop();
             },
             [](std::optional<Greeting>& held, ClientFlags& /*flags*/, Flow& flow) {
                 flow.to_client(*held);
             })},
        {"client-flags-unknown-accepted", "CLIENT-FLAGS-DROPPED",
         "goes on with a client that sets an unknown flag", twist([](ClientFlags& flags) {
             flags.flags &= nbd::client_flag::fixed_newstyle | nbd::client_flag::no_zeroes;
         })},
        {"client-flags-unoffered-accepted", "CLIENT-FLAGS-DROPPED",
         "does not offer NBD_FLAG_NO_ZEROES, and goes on with a client that sets NBD_FLAG_C_NO_ZEROES",
         twist([](Greeting& greeting) { greeting.flags &= static_cast<std::uint16_t>(~shake::no_zeroes); })},
    };
}

} // namespace faults
