#include "harness/wire/tests/rule_cases.hpp"

namespace wire {
namespace {

using C = Conversation;
using nbd::Command;
using nbd::Error;
using nbd::InfoType;
using nbd::Option;
namespace asked = nbd::command_flag;
namespace can = nbd::resize_capability;
namespace has = nbd::transmission_flag;

constexpr Side server = Side::server;
constexpr Side client = Side::client;
constexpr std::uint64_t mib = 1U << 20;
constexpr std::uint64_t kib64 = 64U << 10;
constexpr std::uint16_t everything = can::explicit_ | can::shrink | can::automatic | can::query | can::notify;

constexpr nbd::InfoResize resize(std::uint16_t capabilities, std::uint32_t granularity = 1,
                                 std::uint64_t smallest = 0, std::uint64_t largest = 4 * mib) {
    return {InfoType::resize, capabilities, granularity, smallest, largest};
}

/// An export that can be resized, with structured replies.
C& resizable(C& c, std::uint16_t capabilities = everything, std::uint32_t granularity = 1) {
    return c.structured({.flags = has::send_resize, .resize = resize(capabilities, granularity)});
}

/// What a server may tell by NBD_INFO_RESIZE, and what not.
void told(C& c, const nbd::InfoResize& info, std::uint16_t flags = has::send_resize) {
    c.structured({.flags = flags, .resize = info});
}

void told_well(C& c) {
    told(c, resize(everything));
}

void grown(C& c) {
    resizable(c).request(Command::resize, 2 * mib, 0).size(2 * mib).leave();
}

void extended_by_write(C& c) {
    resizable(c).request(Command::write, mib, 512, asked::extend).size(mib + 512).leave();
}

void polled(C& c) {
    resizable(c).request(Command::resize, 0, 0, asked::query).size(mib).leave();
}

C& subscribed(C& c, std::uint32_t credit = 0) {
    return resizable(c).request(Command::resize, 0, credit, asked::notify).size(mib, 0, false);
}

void notified(C& c) {
    subscribed(c, 2).size(2 * mib, 2, false).size(3 * mib, 2, true).leave();
}

} // namespace

std::vector<RuleCase> resize_cases() {
    return {
        {"RZ-INFO-1", server, told_well,
         [](C& c) { c.hello().option(Option::go, C::ask()).info(Option::go, resize(can::explicit_)); }},
        {"RZ-INFO-3", server, told_well,
         [](C& c) {
             nbd::Buffer data = nbd::encode(resize(can::explicit_));
             data.push_back(0);
             c.hello().option(Option::go, C::ask({InfoType::resize}));
             c.reply(Option::go, nbd::OptionReplyType::info, data);
         }},
        {"RZ-INFO-5", server, told_well, [](C& c) { told(c, resize(can::query | can::shrink)); }},
        {"RZ-INFO-5", server, told_well, [](C& c) { told(c, resize(can::query | can::automatic_implicit)); }},
        {"RZ-INFO-5", server, told_well,
         [](C& c) { c.simple({.flags = has::send_resize, .resize = resize(can::query)}); }},
        {"RZ-INFO-5", server, told_well, [](C& c) { told(c, resize(can::query | 1U << 15)); }},
        {"RZ-INFO-6", server, told_well, [](C& c) { told(c, resize(everything, 0)); }},
        {"RZ-INFO-6", server, told_well, [](C& c) { told(c, resize(everything, 1, 0, mib / 2)); }},
        {"RZ-INFO-6", server, told_well, [](C& c) { told(c, resize(everything, 1, 2 * mib)); }},
        {"RZ-INFO-6", server,
         [](C& c) {
             c.structured({.flags = has::send_resize,
                           .block = nbd::InfoBlockSize{InfoType::block_size, 512, 4096, 1U << 25},
                           .resize = resize(everything, 1024)});
         },
         [](C& c) {
             c.structured({.flags = has::send_resize,
                           .block = nbd::InfoBlockSize{InfoType::block_size, 512, 4096, 1U << 25},
                           .resize = resize(everything, 768)});
         }},
        {"RZ-FLAG-1", server, told_well, [](C& c) { told(c, resize(everything), 0); }},
        {"RZ-FLAG-1", server, [](C& c) { told(c, resize(can::automatic), 0); },
         [](C& c) { told(c, resize(can::automatic)); }},
        {"RZ-FLAG-1", server, [](C& c) { c.hello(); },
         [](C& c) {
             c.hello().option(Option::export_name);
             c.from_server(nbd::ExportNameReply{mib, has::has_flags | has::send_resize | has::read_only});
         }},
        {"RZ-FLAG-2", client, grown,
         [](C& c) { c.structured().request(Command::resize, 2 * mib, 0).error(Error::inval); }},
        {"RZ-FLAG-4", server, grown,
         [](C& c) { c.structured().request(Command::resize, 2 * mib, 0).none(); }},
        {"RZ-FLAG-3", client, polled,
         [](C& c) {
             c.structured({.flags = has::send_resize}).request(Command::resize, 0, 0, asked::query);
             c.error(Error::inval);
         }},
        {"RZ-INFO-7", client, polled,
         [](C& c) {
             resizable(c, can::explicit_).request(Command::resize, 0, 0, asked::query).error(Error::inval);
         }},
        {"RZ-INFO-7", client, notified,
         [](C& c) {
             resizable(c, can::explicit_).request(Command::resize, 0, 0, asked::notify).error(Error::inval);
         }},
        {"RZ-INFO-7", client, extended_by_write,
         [](C& c) {
             resizable(c, can::explicit_).request(Command::write, 0, 512, asked::extend).error(Error::inval);
         }},
        {"RZ-AUTO-1", server, extended_by_write,
         [](C& c) { resizable(c).request(Command::write, mib, 512, asked::extend).size(mib + 511); }},
        {"RZ-AUTO-4", client, extended_by_write,
         [](C& c) { resizable(c).request(Command::read, 0, 512, asked::extend).error(Error::inval); }},
        {"RZ-AUTO-4", server, extended_by_write,
         [](C& c) { resizable(c, can::explicit_).request(Command::write, 0, 512, asked::extend).none(); }},
        {"RZ-AUTO-5", server, extended_by_write,
         [](C& c) { resizable(c).request(Command::read, mib, 512).hole(mib, 512); }},
        {"RZ-AUTO-6", server, extended_by_write,
         [](C& c) { resizable(c).request(Command::write, mib, 512, asked::extend).none(); }},
        {"RZ-AUTO-6", server, extended_by_write,
         [](C& c) {
             resizable(c).request(Command::write, mib, 512, asked::extend);
             c.size(mib + 512, 0, false).size(mib + 512);
         }},
        {"RZ-CMD-1", client, polled,
         [](C& c) {
             resizable(c).request(Command::resize, 0, 0, asked::query | asked::notify).error(Error::inval);
         }},
        {"RZ-CMD-1", client, polled,
         [](C& c) {
             resizable(c).request(Command::resize, 0, 0, asked::query | asked::no_hole).error(Error::inval);
         }},
        {"RZ-CMD-1", client, polled,
         [](C& c) { resizable(c).request(Command::read, 0, 512, asked::query).error(Error::inval); }},
        {"RZ-CMD-1", client, grown,
         [](C& c) {
             c.extended({.flags = has::send_resize, .resize = resize(everything)});
             c.request(Command::resize, 2 * mib, 0, asked::payload_len).error(Error::inval);
         }},
        {"RZ-CMD-1", server,
         [](C& c) { resizable(c).request(Command::resize, 2 * mib, 0).error(Error::perm); },
         [](C& c) {
             resizable(c).request(Command::resize, 0, 0, asked::query | asked::notify).error(Error::perm);
         }},
        {"RZ-PLAIN-1", client, grown,
         [](C& c) { resizable(c).request(Command::resize, 2 * mib, 512).error(Error::inval); }},
        {"RZ-PLAIN-1", server, grown,
         [](C& c) { resizable(c).request(Command::resize, std::uint64_t{1} << 63, 0).error(Error::nospc); }},
        {"RZ-PLAIN-2", server,
         [](C& c) { resizable(c, can::query).request(Command::resize, 2 * mib, 0).error(Error::perm); },
         [](C& c) { resizable(c, can::query).request(Command::resize, 2 * mib, 0).error(Error::inval); }},
        {"RZ-PLAIN-3", server, [](C& c) { resizable(c).request(Command::resize, mib / 2, 0).size(mib / 2); },
         [](C& c) { resizable(c, can::explicit_).request(Command::resize, mib / 2, 0).size(mib / 2); }},
        {"RZ-PLAIN-5", server,
         [](C& c) { c.structured({.flags = has::send_resize}).request(Command::resize, 2 * mib, 0).none(); },
         [](C& c) {
             c.structured({.flags = has::send_resize}).request(Command::resize, 2 * mib, 0).size(2 * mib);
         }},
        {"RZ-PLAIN-6", server, grown, [](C& c) { resizable(c).request(Command::resize, 2 * mib, 0).none(); }},
        {"RZ-PLAIN-6", server,
         [](C& c) { resizable(c, everything, kib64).request(Command::resize, 2 * mib - 1, 0).size(2 * mib); },
         [](C& c) {
             resizable(c, everything, kib64).request(Command::resize, 2 * mib + 1, 0).size(2 * mib);
         }},
        {"RZ-PLAIN-10", client, grown,
         [](C& c) { resizable(c).request(Command::read, mib, 512).request(Command::resize, 2 * mib, 0); }},
        {"RZ-QUERY-1", client, polled,
         [](C& c) { resizable(c).request(Command::resize, 512, 0, asked::query).error(Error::inval); }},
        {"RZ-QUERY-1", server, polled,
         [](C& c) { resizable(c).request(Command::resize, 512, 0, asked::query).size(mib); }},
        {"RZ-QUERY-2", server, polled,
         [](C& c) { resizable(c).request(Command::resize, 0, 0, asked::query).none(); }},
        {"RZ-QUERY-2", server, polled,
         [](C& c) { resizable(c).request(Command::resize, 0, 0, asked::query).size(mib, 1); }},
        {"RZ-NOTE-1", client, notified,
         [](C& c) { resizable(c).request(Command::resize, 512, 0, asked::notify).error(Error::inval); }},
        {"RZ-NOTE-1", client, notified,
         [](C& c) { subscribed(c).request(Command::resize, 0, 0, asked::notify).error(Error::inval); }},
        {"RZ-NOTE-1", server, notified,
         [](C& c) { resizable(c).request(Command::resize, 512, 0, asked::notify).error(Error::perm); }},
        {"RZ-NOTE-2", server, notified,
         [](C& c) { resizable(c).request(Command::resize, 0, 0, asked::notify).size(mib, 2, false); }},
        {"RZ-NOTE-5", server, notified,
         [](C& c) { resizable(c).request(Command::resize, 0, 1, asked::notify).none(); }},
        {"RZ-NOTE-5", server,
         [](C& c) {
             resizable(c).request(Command::resize, 0, 1, asked::notify).error(Error::nomem, false).none();
             c.leave();
         },
         [](C& c) { resizable(c).request(Command::resize, 0, 1, asked::notify).none(); }},
        {"RZ-NOTE-6", server, notified,
         [](C& c) { subscribed(c, 1).size(2 * mib, 2, false).size(3 * mib, 2, false); }},
        {"RZ-NOTE-8", client, notified,
         [](C& c) { subscribed(c).request(Command::resize, 1, 512, asked::cancel).error(Error::inval); }},
        {"RZ-NOTE-8", server,
         [](C& c) {
             subscribed(c);
             nbd::Buffer last;
             nbd::encode_chunk_to(last, {nbd::reply_flag::done, nbd::ChunkType::none, 1, 0, 0},
                                  nbd::HeaderStyle::compact);
             c.request(Command::resize, 1, 0, asked::cancel).server(last).none();
         },
         [](C& c) { subscribed(c).request(Command::resize, 1, 0, asked::cancel).none(); }},
        {"RZ-CHUNK-1", server, grown,
         [](C& c) {
             resizable(c).request(Command::resize, 2 * mib, 0);
             c.chunk(nbd::ChunkType::resize, true, nbd::Buffer(13));
         }},
        {"RZ-CHUNK-1", server, grown,
         [](C& c) { resizable(c).request(Command::resize, 2 * mib, 0).size(2 * mib, 8); }},
        {"RZ-CHUNK-2", server, grown, [](C& c) { resizable(c).request(Command::write, 0, 512).size(mib); }},
        {"RZ-CHUNK-2", server, grown,
         [](C& c) {
             resizable(c).request(Command::resize, 2 * mib, 0).size(2 * mib, 0, false).error(Error::io);
         }},
    };
}

} // namespace wire
