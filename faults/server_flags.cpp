// Faults of servers that do what they do not say, or say what they do not do (Transmission flags).

#include "faults/edit.hpp"
#include "faults/tables.hpp"

namespace faults {

using nbd::Command;
using nbd::Error;

namespace ask = nbd::command_flag;
namespace offer = nbd::transmission_flag;

namespace {

/// The handshake tells these transmission flags as clear.
Recipe without(std::uint16_t flags) {
    return on_export([flags](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*what*/) {
        told &= static_cast<std::uint16_t>(~flags);
    });
}

} // namespace

Table flag_faults() {
    return {
        {"df-unsaid", "FLAG-DF-SET", "leaves NBD_FLAG_SEND_DF clear and serves NBD_CMD_FLAG_DF",
         without(offer::send_df)},
        {"fast-zero-unsaid", "FLAG-FAST-ZERO-SET",
         "leaves NBD_FLAG_SEND_FAST_ZERO clear and answers NBD_CMD_FLAG_FAST_ZERO with NBD_ENOTSUP",
         both(without(offer::send_fast_zero),
              refuse_sound(Error::notsup,
                           [](const Request& request, const Conversation& /*told*/) {
                               return request.type == Command::write_zeroes &&
                                      (request.flags & ask::fast_zero) != 0;
                           }))},
        {"read-only-said", "FLAG-READ-ONLY", "sets NBD_FLAG_READ_ONLY and serves writes all the same",
         on_export([](std::uint64_t& /*size*/, std::uint16_t& told, const Conversation& /*what*/) {
             told |= offer::read_only;
         })},
        {"flush-fua-unimplemented", "INTEROP-FLUSH-FUA", "has neither NBD_CMD_FLUSH nor NBD_CMD_FLAG_FUA",
         both(without(offer::send_flush | offer::send_fua),
              refuse(Error::inval,
                     [](const Request& request, const Conversation& /*told*/) {
                         return request.type == Command::flush || (request.flags & ask::fua) != 0;
                     }))},
    };
}

} // namespace faults
