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
         twist([](Greeting& greeting) { greeting.flags |= greeting.oldstyle ? 0 : 1U << 7; })},
        {"greeting-not-fixed", "FIXED-FLAG-SERVER",
         "leaves NBD_FLAG_FIXED_NEWSTYLE clear and answers options all the same",
         both(unoffered(shake::fixed_newstyle, nbd::client_flag::fixed_newstyle),
              twist([](ClientFlags& flags) { flags.flags |= nbd::client_flag::fixed_newstyle; }))},
        {"greeting-newstyle-only", "BASELINE-FIXED",
         "speaks newstyle, but not fixed newstyle, and closes the connection on other options",
         both(unoffered(shake::fixed_newstyle, nbd::client_flag::fixed_newstyle),
              twist([](OptionRequest& option, Flow& flow) {
                  if (option.option != nbd::Option::export_name) {
                      flow.hang_up();
                  }
              }))},
        {"oldstyle-flags", "OLDSTYLE-FLAGS-CLEAR", "sets a handshake flag in an oldstyle greeting",
         twist([](Greeting& greeting) {
             greeting.flags |= greeting.oldstyle ? shake::fixed_newstyle : std::uint16_t{0};
         })},
        {"oldstyle-padding-dirty", "OLDSTYLE-ZEROES", "pads an oldstyle greeting with ones",
         twist([](Greeting& greeting) { std::ranges::fill(greeting.padding, std::uint8_t{1}); })},
        {"greeting-hangs-up", "HAGGLING-NO-HANG-UP", "closes the connection right after its greeting",
         twist([](ClientFlags& /*flags*/, Flow& flow) { flow.hang_up(); })},
        {"greeting-late", "GREETING-MAGIC", "says nothing before the client does",
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
        {"client-flags-swapped-accepted", "NUMBERS-BIG-ENDIAN",
         "takes client flags in the wrong order of bytes", twist([](ClientFlags& flags) {
             const std::uint32_t swapped = __builtin_bswap32(flags.flags);
             if ((swapped & nbd::client_flag::fixed_newstyle) != 0) {
                 flags.flags = swapped;
             }
         })},
        {"client-flags-none-silent", "HANDSHAKE-FLAGS-BEHAVIOUR",
         "neither answers nor hangs up on options of a client that has set no flag",
         twist([](ClientFlags& flags) { flags.flags |= nbd::client_flag::fixed_newstyle; },
               [](OptionRequest& option, Flow& flow) {
                   if (flow.told().client_flags == 0 && option.option != nbd::Option::export_name) {
                       flow.drop();
                   }
               })},
        {"client-flags-fixed-accepted", "CLIENT-FLAGS-DROPPED",
         "does not offer NBD_FLAG_FIXED_NEWSTYLE, and goes on with a client that sets "
         "NBD_FLAG_C_FIXED_NEWSTYLE",
         twist([](Greeting& greeting) {
             greeting.flags &= static_cast<std::uint16_t>(greeting.oldstyle ? ~0 : ~shake::fixed_newstyle);
         })},
        {"client-flags-unoffered-accepted", "CLIENT-FLAGS-DROPPED",
         "does not offer NBD_FLAG_NO_ZEROES, and goes on with a client that sets NBD_FLAG_C_NO_ZEROES",
         twist([](Greeting& greeting) { greeting.flags &= static_cast<std::uint16_t>(~shake::no_zeroes); })},
    };
}

} // namespace faults
