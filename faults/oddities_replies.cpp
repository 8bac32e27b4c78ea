// Legal but unusual replies.

#include "faults/answers.hpp"
#include "faults/make.hpp"
#include "faults/tables.hpp"

namespace faults {

using namespace std::chrono_literals;

Table reply_oddities() {
    return {
        {"bytes-one-by-one", "REPLY-COOKIE", "sends all that it sends byte by byte",
         early(twist([](Greeting& /*greeting*/, Flow& flow) { flow.in_pieces(Side::client, 1); }))},
    };
}

} // namespace faults
