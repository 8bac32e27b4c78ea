// Faults of clients that lack what every client has to have (Compatibility and interoperability, Baseline),
// and that make too much of how the handshake ends.

#include "faults/answers.hpp"
#include "faults/client_tables.hpp"
#include "faults/client_twists.hpp"
#include "faults/make.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace faults {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

/// Numbers that nobody has given to an option or a command.
constexpr auto unknown_option = static_cast<Option>(0x7a7a);
constexpr auto unknown_command = static_cast<nbd::Command>(0x7a7a);

Recipe without_block_sizes() {
    return twist(
        [](OptionRequest& option) {
            edit_info(option,
                      [](nbd::InfoRequest& data) { std::erase(data.requests, nbd::InfoType::block_size); });
        },
        [](OptionReply& reply, Flow& flow) {
            const auto told = payload_as<nbd::InfoBlockSize>(reply.payload);
            if (reply.type == OptionReplyType::info && told && told->type == nbd::InfoType::block_size) {
                flow.drop();
            }
        });
}

/// Sends NBD_OPT_ABORT, and believes what the last option has told only once that is answered.
Recipe needs_answer_to_abort() {
    return twist_with(std::optional<OptionReply>(),
                      [](std::optional<OptionReply>& held, OptionReply& reply, Flow& flow) {
                          const bool last = (reply.option == Option::list || reply.option == Option::info) &&
                                            reply.type == OptionReplyType::ack;
                          if (last) {
                              held = reply;
                              flow.drop();
                              flow.to_server(OptionRequest{});
                          } else if (held && reply.option == Option::abort) {
                              flow.to_client(*std::exchange(held, std::nullopt));
                              flow.drop();
                              flow.hang_up();
                          }
                      });
}

} // namespace

Table client_baseline_faults() {
    return {
        {"fixed-newstyle-refused", "BASELINE-FIXED", "leaves servers of fixed newstyle",
         twist([](Greeting& greeting, Flow& flow) {
             if ((greeting.flags & nbd::handshake_flag::fixed_newstyle) != 0) {
                 flow.hang_up();
             }
         })},
        {"abort-unknown", "BASELINE-ABORT", "leaves the handshake by an option that nobody knows",
         twist([](OptionRequest& option) {
             if (option.option == Option::abort) {
                 option.option = unknown_option;
             }
         })},
        {"read-made-up", "BASELINE-READ", "takes zeroes for the content of all reads, and sends none",
         twist([](Request& request, Flow& flow) {
             if (request.type == nbd::Command::read) {
                 flow.drop();
                 flow.to_client(any_success(flow.told(), request));
             }
         })},
        {"disc-unknown", "BASELINE-DISC", "leaves by a command that nobody knows",
         twist([](Request& request) {
             if (request.type == nbd::Command::disc) {
                 request.type = unknown_command;
             }
         })},
        {"block-sizes-unknown", "INTEROP-BLOCK-SIZE-QUERY", "knows nothing of NBD_INFO_BLOCK_SIZE",
         without_block_sizes()},
        {"go-leaves", "GO-ENTERS", "leaves as soon as NBD_OPT_GO has succeeded",
         twist([](OptionReply& reply, Flow& flow) {
             if (reply.option == Option::go && reply.type == OptionReplyType::ack) {
                 flow.drop();
                 flow.hang_up();
             }
         })},
        {"abort-needs-answer", "ABORT-UNANSWERED",
         "takes a list or information for nothing where NBD_OPT_ABORT is not answered",
         needs_answer_to_abort()},
    };
}

} // namespace faults
