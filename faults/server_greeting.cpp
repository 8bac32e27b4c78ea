// Faults of the first message of a server (Newstyle negotiation, Handshake flags).

#include "faults/make.hpp"
#include "faults/tables.hpp"

namespace faults {

Table greeting_faults() {
    return {
        {"greeting-magic", "GREETING-MAGIC", "begins with NBDMAGIX",
         twist([](Greeting& greeting) { greeting.magic ^= 'C' ^ 'X'; })},
        {"greeting-style", "GREETING-STYLE", "sends a second magic number that announces no handshake",
         twist([](Greeting& greeting) { greeting.style += 1; })},
        {"greeting-unknown-flag", "HANDSHAKE-FLAGS-KNOWN", "sets a handshake flag that means nothing",
         twist([](Greeting& greeting) { greeting.flags |= 1U << 7; })},
    };
}

} // namespace faults
