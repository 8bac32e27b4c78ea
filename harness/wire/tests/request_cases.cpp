#include "harness/wire/tests/rule_cases.hpp"

#include <limits>

namespace wire {
namespace {

using C = Conversation;
using nbd::Command;
using nbd::InfoType;
namespace asked = nbd::command_flag;
namespace has = nbd::transmission_flag;

constexpr Side server = Side::server;
constexpr Side client = Side::client;
constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

const std::pair<std::uint32_t, std::string> allocation{1, "base:allocation"};

constexpr nbd::InfoBlockSize blocks(std::uint32_t minimum) {
    return {InfoType::block_size, minimum, 4096, 1U << 20};
}

/// A request on an export with these flags, and its success.
template <Command command, std::uint16_t request_flags = 0, std::uint16_t export_flags = 0>
void simple(C& c) {
    constexpr bool ranged = command != Command::flush;
    c.simple({.flags = export_flags}).request(command, 0, ranged ? 4096 : 0, request_flags);
    c.done(nbd::Error::none, command == Command::read ? 4096 : 0).leave();
}

/// An oldstyle server has told what it has.
C& oldstyle(C& c) {
    c.from_server(nbd::OldstyleGreeting{1U << 20, 0, has::has_flags});
    return c.server(nbd::Buffer(nbd::handshake_padding, 0));
}

void read_4k(C& c) {
    simple<Command::read>(c);
}

/// A request with structured replies, refused.
template <Command command, std::uint16_t request_flags, std::uint16_t export_flags>
void structured_refused(C& c) {
    c.structured({.flags = export_flags, .contexts = {allocation}}).request(command, 0, 4096, request_flags);
    c.error(nbd::Error::inval);
}

nbd::Buffer status_query(std::uint64_t effect, const std::vector<std::uint32_t>& ids) {
    return nbd::encode(nbd::BlockStatusQuery{effect, ids});
}

/// NBD_CMD_BLOCK_STATUS with a payload.
void status_with_payload(C& c, std::uint16_t export_flags, const nbd::Buffer& payload) {
    c.extended({.flags = export_flags, .contexts = {allocation}});
    c.request(Command::block_status, 0, payload.size(), asked::payload_len).client(payload);
}

void status(C& c) {
    c.structured({.contexts = {allocation}}).request(Command::block_status, 0, 4096);
    c.status(1, {{4096, 0}}).leave();
}

} // namespace

std::vector<RuleCase> request_cases() {
    return {
        {"REQUEST-MAGIC", client, read_4k,
         [](C& c) { c.simple().client(nbd::Buffer(nbd::request_header_size(nbd::HeaderStyle::compact))); }},
        {"DISC-ENDS", client, read_4k,
         [](C& c) { c.simple().request(Command::disc, 0, 0).request(Command::read, 0, 512); }},
        {"COOKIE-DISTINCT", client,
         [](C& c) {
             c.simple().request_as(7, Command::read, 0, 512).done(nbd::Error::none, 512);
             c.request_as(7, Command::read, 0, 512).done(nbd::Error::none, 512);
         },
         [](C& c) { c.simple().request_as(7, Command::read, 0, 512).request_as(7, Command::read, 0, 512); }},
        {"COMMAND-KNOWN", client, read_4k, [](C& c) { c.simple().request(static_cast<Command>(99), 0, 0); }},
        {"COMMAND-FLAGS-KNOWN", client, read_4k,
         [](C& c) { c.simple().request(Command::read, 0, 512, 1U << 15); }},
        {"FUA-OFFERED", client, simple<Command::write, asked::fua, has::send_fua>,
         simple<Command::write, asked::fua>},
        {"FUA-WRITES", client, simple<Command::write, asked::fua, has::send_fua>,
         simple<Command::read, asked::fua, has::send_fua>},
        {"NO-HOLE-PLACE", client, simple<Command::write_zeroes, asked::no_hole, has::send_write_zeroes>,
         simple<Command::write, asked::no_hole, has::send_write_zeroes>},
        {"DF-OFFERED", client,
         [](C& c) {
             c.structured({.flags = has::send_df}).request(Command::read, 0, 512, asked::df).data(0, 512);
         },
         [](C& c) { c.structured().request(Command::read, 0, 512, asked::df); }},
        {"DF-PLACE", client,
         [](C& c) {
             c.structured({.flags = has::send_df}).request(Command::read, 0, 512, asked::df).data(0, 512);
         },
         structured_refused<Command::block_status, asked::df, has::send_df>},
        {"REQ-ONE-PLACE", client,
         [](C& c) {
             c.structured({.contexts = {allocation}});
             c.request(Command::block_status, 0, 4096, asked::req_one).status(1, {{4096, 0}});
         },
         simple<Command::read, asked::req_one>},
        {"FAST-ZERO-OFFERED", client,
         simple<Command::write_zeroes, asked::fast_zero, has::send_write_zeroes | has::send_fast_zero>,
         simple<Command::write_zeroes, asked::fast_zero, has::send_write_zeroes>},
        {"FAST-ZERO-PLACE", client,
         simple<Command::write_zeroes, asked::fast_zero, has::send_write_zeroes | has::send_fast_zero>,
         simple<Command::write, asked::fast_zero, has::send_write_zeroes | has::send_fast_zero>},
        {"PAYLOAD-LEN-EXTENDED", client, [](C& c) { c.extended().request(Command::write, 0, 512); },
         simple<Command::write, asked::payload_len>},
        {"PAYLOAD-LEN-WRITE", client, [](C& c) { c.extended().request(Command::write, 0, 512); },
         [](C& c) {
             nbd::Buffer bytes;
             nbd::encode_request_to(bytes, {0, Command::write, 1, 0, 512}, nbd::HeaderStyle::extended);
             bytes.resize(bytes.size() + 512);
             c.extended().client(bytes).request(Command::disc, 0, 0);
         }},
        {"PAYLOAD-LEN-PLACE", client, [](C& c) { c.extended().request(Command::write, 0, 512); },
         [](C& c) { c.extended().request(Command::read, 0, 512, asked::payload_len); }},
        {"STATUS-PAYLOAD-OFFERED", client,
         [](C& c) { status_with_payload(c, has::block_status_payload, status_query(4096, {1})); },
         [](C& c) { status_with_payload(c, 0, status_query(4096, {1})); }},
        {"STATUS-PAYLOAD-LAYOUT", client,
         [](C& c) { status_with_payload(c, has::block_status_payload, status_query(4096, {1})); },
         [](C& c) { status_with_payload(c, has::block_status_payload, nbd::Buffer(9)); }},
        {"REQUEST-IN-BOUNDS", client,
         [](C& c) { c.simple().request(Command::read, mib - 512, 512).done(nbd::Error::none, 512); },
         [](C& c) { c.simple().request(Command::read, mib - 511, 512).done(nbd::Error::inval); }},
        {"REQUEST-ALIGNED", client,
         [](C& c) {
             c.simple({.block = blocks(512)}).request(Command::read, 512, 512).done(nbd::Error::none, 512);
         },
         [](C& c) { c.simple({.block = blocks(512)}).request(Command::read, 512, 513); }},
        {"REQUEST-PAYLOAD", client,
         [](C& c) { c.simple({.size = 4 * mib, .block = blocks(1)}).request(Command::write, 0, mib).done(); },
         [](C& c) {
             c.simple({.size = 4 * mib, .block = blocks(1)}).request(Command::write, 0, mib + 1).done();
         }},
        {"REQUEST-PAYLOAD-DEFAULT", client,
         [](C& c) { c.simple({.size = 64 * mib}).request(Command::read, 0, 32 * mib); },
         [](C& c) { c.simple({.size = 64 * mib}).request(Command::read, 0, 32 * mib + 1); }},
        {"REQUEST-NOT-EMPTY", client, read_4k, [](C& c) { c.simple().request(Command::write, 0, 0).done(); }},
        {"READ-LENGTH", client,
         [](C& c) {
             c.extended({.size = std::uint64_t{1} << 40, .block = blocks(1)});
             c.request(Command::read, 0, 0xffffffff);
         },
         [](C& c) {
             c.extended({.size = std::uint64_t{1} << 40, .block = blocks(1)});
             c.request(Command::read, 0, std::uint64_t{1} << 32);
         }},
        {"DISC-ZERO", client, read_4k, [](C& c) { c.simple().request(Command::disc, 0, 1); }},
        {"DISC-SETTLED", client, read_4k,
         [](C& c) { c.simple().request(Command::read, 0, 512).request(Command::disc, 0, 0); }},
        {"FLUSH-OFFERED", client, simple<Command::flush, 0, has::send_flush>, simple<Command::flush>},
        {"FLUSH-ZERO", client, simple<Command::flush, 0, has::send_flush>,
         [](C& c) { c.simple({.flags = has::send_flush}).request(Command::flush, 0, 512).done(); }},
        {"TRIM-OFFERED", client, simple<Command::trim, 0, has::send_trim>, simple<Command::trim>},
        {"WRITE-ZEROES-OFFERED", client, simple<Command::write_zeroes, 0, has::send_write_zeroes>,
         simple<Command::write_zeroes>},
        {"STATUS-SELECTED", client, status,
         [](C& c) { c.structured().request(Command::block_status, 0, 512).error(nbd::Error::inval); }},

        // ---- leaving
        {"CLIENT-SOFT-END", client, read_4k, [](C& c) { c.simple().client_ends(); }},
        {"CLIENT-SOFT-END", client, [](C& c) { oldstyle(c).client_ends(); },
         [](C& c) { oldstyle(c).request(Command::read, 0, 512).client_ends(); }},
        {"SHUTDOWN-DISC", client,
         [](C& c) { c.simple().request(Command::read, 0, 512).done(nbd::Error::shutdown).leave(); },
         [](C& c) { c.simple().request(Command::read, 0, 512).done(nbd::Error::shutdown).client_ends(); }},
        {"SERVER-NO-HANG-UP", server, read_4k, [](C& c) { c.simple().server_ends(); }},
        {"SERVER-NO-HANG-UP", server,
         [](C& c) { c.simple().request(Command::read, 0, 512).done(nbd::Error::io).server_ends(); },
         [](C& c) { c.simple().request(Command::write, 0, 512).done(nbd::Error::io).server_ends(); }},
        {"SERVER-NO-HANG-UP", server,
         [](C& c) {
             // An error that is found behind a promise of success can only be told by leaving.
             c.simple().request(Command::read, 0, 4096).done(nbd::Error::none, 512).server_ends();
         },
         [](C& c) { c.simple().request(Command::read, 0, 4096).done(nbd::Error::none, 4096).server_ends(); }},
        {"DISC-OUTSTANDING", server,
         [](C& c) {
             c.simple().request(Command::read, 0, 512).done(nbd::Error::none, 512);
             c.request(Command::disc, 0, 0).server_ends();
         },
         [](C& c) {
             c.simple().request(Command::read, 0, 512);
             // That the client did not wait is a SHOULD of its own and no excuse.
             c.request(Command::disc, 0, 0).server_ends();
         }},
    };
}

} // namespace wire
