// Faults of servers that lack what every server has to have (Baseline), as far as no other table has them.

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;
using nbd::Error;

Table baseline_faults() {
    return {
        {"simple-unimplemented", "BASELINE-SIMPLE",
         "fails all reads of clients that have not agreed to structured replies",
         refuse_sound(Error::inval,
                      [](const Request& request, const Conversation& told) {
                          return request.type == Command::read && !told.chunks();
                      })},
    };
}

} // namespace faults
