// What servers tell of an export, however they do it: its size, the transmission flags, the padding behind
// them.

#include "harness/wire/rule.hpp"
#include "harness/wire/words.hpp"

namespace wire {
namespace {

constexpr Rule<ExportEvent> exports[] = {
    {"HAS-FLAGS",
     [](const ExportEvent& event) {
         return when(!event.has(nbd::transmission_flag::has_flags), "NBD_FLAG_HAS_FLAGS is clear");
     }},
    {"EXPORT-NAME-ZEROES",
     [](const ExportEvent& event) {
         return when(event.telling == Telling::export_name && !event.padding_is_zero,
                     "the 124 bytes behind the flags are not all zero");
     }},
    {"FLAG-DF",
     [](const ExportEvent& event) {
         return when(
             event.has(nbd::transmission_flag::send_df) && !event.state.chunks(),
             "NBD_FLAG_SEND_DF is set, but neither structured replies nor extended headers are agreed");
     }},
    {"FLAG-FAST-ZERO",
     [](const ExportEvent& event) {
         return when(event.has(nbd::transmission_flag::send_fast_zero) &&
                         !event.has(nbd::transmission_flag::send_write_zeroes),
                     "NBD_FLAG_SEND_FAST_ZERO is set, NBD_FLAG_SEND_WRITE_ZEROES is not");
     }},
    {"FLAG-STATUS-PAYLOAD",
     [](const ExportEvent& event) {
         return when(event.has(nbd::transmission_flag::block_status_payload) && !event.state.extended,
                     "NBD_FLAG_BLOCK_STATUS_PAYLOAD is set, but extended headers are not agreed");
     }},
    {"FLAG-STATUS-PAYLOAD-CONTEXTS",
     [](const ExportEvent& event) {
         return when(event.telling == Telling::go &&
                         event.has(nbd::transmission_flag::block_status_payload) && event.state.extended &&
                         !event.state.selected,
                     "NBD_FLAG_BLOCK_STATUS_PAYLOAD is set, but no metadata contexts are selected");
     },
     recommended},
};

} // namespace

std::span<const Rule<ExportEvent>> export_rules() {
    return exports;
}

} // namespace wire
