#include "harness/wire/tests/rule_cases.hpp"

namespace wire {
namespace {

using C = Conversation;
using nbd::ChunkType;
using nbd::Command;
using nbd::Error;
using nbd::InfoType;
namespace asked = nbd::command_flag;
namespace has = nbd::transmission_flag;

constexpr Side server = Side::server;
constexpr ChunkType unknown_error{nbd::chunk_error_bit + 99};
constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

const std::pair<std::uint32_t, std::string> allocation{1, "base:allocation"};
const std::pair<std::uint32_t, std::string> second{2, "x-test:other"};

constexpr nbd::InfoBlockSize blocks(std::uint32_t minimum, std::uint32_t payload = 1U << 20) {
    return {InfoType::block_size, minimum, 4096, payload};
}

/// A read of 8 KiB from 4 KiB on, to be answered by chunks.
C& reading(C& c, std::uint16_t flags = 0) {
    return c.structured({.flags = has::send_df}).request(Command::read, 4 * kib, 8 * kib, flags);
}

void read_in_one(C& c) {
    reading(c).data(4 * kib, 8 * kib).leave();
}

void read_in_two(C& c) {
    reading(c).hole(8 * kib, 4 * kib, false).data(4 * kib, 4 * kib, false).none().leave();
}

void read_simple(C& c) {
    c.simple().request(Command::read, 0, 4096).done(Error::none, 4096).leave();
}

/// A request for the status of 8 KiB from 4 KiB on.
C& mapping(C& c, std::uint16_t flags = 0) {
    return c.structured({.block = blocks(512), .contexts = {allocation}})
        .request(Command::block_status, 4 * kib, 8 * kib, flags);
}

C& mapping_extended(C& c) {
    return c.extended({.contexts = {allocation}}).request(Command::block_status, 4 * kib, 8 * kib);
}

void mapped(C& c) {
    mapping(c).status(1, {{4096, 0}, {8192, 3}}).leave();
}

void mapped_extended(C& c) {
    mapping_extended(c).status_ext(1, {{8192, 1}}).leave();
}

void mapped_in_one(C& c) {
    mapping(c, asked::req_one).status(1, {{8192, 0}}).leave();
}

void read_failed(C& c) {
    reading(c).data(4 * kib, 4 * kib, false).error(Error::io, true, "a bad sector").leave();
}

void read_failed_at(C& c) {
    reading(c).data(4 * kib, 4 * kib, false).error_at(Error::io, 4 * kib + 512, false).none().leave();
}

/// A simple error reply to a request of this type beyond the end.
template <Command command, Error error, std::uint16_t export_flags = 0>
void past_end(C& c) {
    c.simple({.flags = export_flags}).request(command, mib, 4096).done(error);
}

/// A reply to a request of this type within the end.
template <Command command, Error error, std::uint16_t request_flags = 0, std::uint16_t export_flags = 0>
void answered(C& c) {
    c.simple({.flags = export_flags}).request(command, 0, 4096, request_flags).done(error);
}

/// A chunk with this payload, to the request at hand.
nbd::Buffer words(std::initializer_list<std::uint32_t> values) {
    nbd::Buffer bytes;
    for (const std::uint32_t value : values) {
        bytes.resize(bytes.size() + sizeof value);
        nbd::detail::store_big(bytes.data() + bytes.size() - sizeof value, value);
    }
    return bytes;
}

} // namespace

std::vector<RuleCase> reply_cases() {
    return {
        {"REPLY-MAGIC", server, read_simple,
         [](C& c) {
             c.simple().request(Command::read, 0, 512).server({1, 2, 3, 4});
         }},
        {"REPLY-COOKIE", server, read_simple,
         [](C& c) {
             c.simple().request(Command::write, 0, 512).from_server(nbd::SimpleReply{Error::none, 9});
         }},
        {"EXTENDED-NO-SIMPLE", server, [](C& c) { c.extended().request(Command::write, 0, 512).none(); },
         [](C& c) { c.extended().request(Command::write, 0, 512).done(); }},
        {"READ-NO-SIMPLE", server, read_in_one, [](C& c) { reading(c).done(Error::io); }},
        {"STATUS-NO-SIMPLE", server, mapped, [](C& c) { mapping(c).done(); }},
        {"ERROR-VALUE", server, answered<Command::write, Error::io>,
         answered<Command::write, static_cast<Error>(121)>},
        {"REPLY-COMPLETE", server, read_failed,
         [](C& c) {
             c.structured().request(Command::write, 0, 512);
             c.error(Error::io, false).done(Error::io);
         }},
        {"CHUNK-NEGOTIATED", server, read_in_one,
         [](C& c) { c.simple().request(Command::read, 0, 512).data(0, 512); }},
        {"EXTENDED-NEGOTIATED", server,
         [](C& c) { c.extended().request(Command::read, 0, 512).data(0, 512); },
         [](C& c) {
             nbd::Buffer bytes;
             nbd::encode_chunk_to(bytes, {nbd::reply_flag::done, ChunkType::none, 1, 0, 0},
                                  nbd::HeaderStyle::extended);
             c.structured().request(Command::write, 0, 512).server(bytes);
         }},
        {"EXTENDED-NO-COMPACT", server,
         [](C& c) { c.extended().request(Command::read, 0, 512).data(0, 512); },
         [](C& c) {
             nbd::Buffer bytes;
             nbd::encode_chunk_to(bytes, {nbd::reply_flag::done, ChunkType::none, 1, 0, 0},
                                  nbd::HeaderStyle::compact);
             c.extended().request(Command::write, 0, 512).server(bytes);
         }},
        {"EXTENDED-OFFSET", server, [](C& c) { c.extended().request(Command::write, 512, 512).none(); },
         [](C& c) {
             nbd::Buffer bytes;
             nbd::encode_chunk_to(bytes, {nbd::reply_flag::done, ChunkType::none, 1, 0, 0},
                                  nbd::HeaderStyle::extended);
             c.extended().request(Command::write, 512, 512).server(bytes);
         }},
        {"CHUNK-FLAGS", server, read_in_two,
         [](C& c) {
             nbd::Buffer bytes;
             nbd::encode_chunk_to(bytes, {3, ChunkType::none, 1, 0, 0}, nbd::HeaderStyle::compact);
             c.structured().request(Command::write, 0, 512).server(bytes);
         }},
        {"CHUNK-TYPE", server, read_in_two,
         [](C& c) {
             c.structured().request(Command::write, 0, 512).chunk(static_cast<ChunkType>(99), true);
         }},
        {"CHUNK-PAYLOAD", server,
         [](C& c) {
             c.structured({.size = 4 * mib, .block = blocks(1)}).request(Command::read, 0, mib).data(0, mib);
         },
         [](C& c) {
             c.structured({.size = 4 * mib, .block = blocks(1)}).request(Command::read, 0, mib + 1);
             c.data(0, mib + 1);
         }},
        {"NONE-DONE", server, read_in_two,
         [](C& c) { c.structured().request(Command::write, 0, 512).chunk(ChunkType::none, false); }},
        {"NONE-LENGTH", server, read_in_two,
         [](C& c) { c.structured().request(Command::write, 0, 512).chunk(ChunkType::none, true, {0}); }},
        {"DATA-PLACE", server, read_in_one,
         [](C& c) { c.structured().request(Command::write, 0, 512).data(0, 512); }},
        {"DATA-LENGTH", server, read_in_one,
         [](C& c) { reading(c).chunk(ChunkType::offset_data, false, nbd::encode(nbd::OffsetData{4096})); }},
        {"HOLE-PLACE", server, read_in_two,
         [](C& c) { c.structured().request(Command::write, 0, 512).hole(0, 512); }},
        {"HOLE-LENGTH", server, read_in_two,
         [](C& c) { reading(c).chunk(ChunkType::offset_hole, false, nbd::Buffer(13)); }},
        {"HOLE-NOT-EMPTY", server, read_in_two, [](C& c) { reading(c).hole(4 * kib, 0, false); }},
        {"CONTENT-IN-REQUEST", server, read_in_one, [](C& c) { reading(c).data(4 * kib, 8 * kib + 1); }},
        {"CONTENT-ONCE", server, read_in_two,
         [](C& c) { reading(c).data(4 * kib, 4 * kib, false).data(8 * kib - 1, 4 * kib + 1); }},
        {"CONTENT-BEFORE-ERROR", server, read_failed_at,
         [](C& c) { reading(c).error_at(Error::io, 5 * kib, false).data(4 * kib, 4 * kib); }},
        {"DF-ONE-CHUNK", server, [](C& c) { reading(c, asked::df).data(4 * kib, 8 * kib, false).none(); },
         [](C& c) { reading(c, asked::df).data(4 * kib, 4 * kib, false).data(8 * kib, 4 * kib); }},
        {"STATUS-PLACE", server, mapped,
         [](C& c) {
             c.structured({.contexts = {allocation}}).request(Command::read, 0, 512).status(1, {{512, 0}});
         }},
        {"STATUS-COMPACT", server, mapped_extended,
         [](C& c) {
             mapping_extended(c).status(1, {{8192, 0}});
         }},
        {"STATUS-EXTENDED", server, mapped,
         [](C& c) {
             mapping(c).status_ext(1, {{8192, 0}});
         }},
        {"STATUS-LENGTH", server, mapped, [](C& c) { mapping(c).status(1, {}); }},
        {"STATUS-EXT-LENGTH", server, mapped_extended,
         [](C& c) {
             nbd::Buffer payload = nbd::encode(nbd::BlockStatusExt{1, {{8192, 0}}});
             payload.push_back(0);
             mapping_extended(c).chunk(ChunkType::block_status_ext, true, payload);
         }},
        {"STATUS-EXT-COUNT", server, mapped_extended,
         [](C& c) {
             nbd::Buffer payload = nbd::encode(nbd::BlockStatusExt{1, {{8192, 0}}});
             payload[7] = 2;
             mapping_extended(c).chunk(ChunkType::block_status_ext, true, payload);
         }},
        {"STATUS-NOT-EMPTY", server, mapped,
         [](C& c) {
             mapping(c).status(1, {{0, 0}, {8192, 0}});
         }},
        {"STATUS-CONTEXT", server, mapped,
         [](C& c) {
             mapping(c).status(7, {{8192, 0}});
         }},
        {"STATUS-CONTEXT-WANTED", server,
         [](C& c) {
             const nbd::Buffer query = nbd::encode(nbd::BlockStatusQuery{4096, {1}});
             c.extended({.flags = has::block_status_payload, .contexts = {allocation, second}});
             c.request(Command::block_status, 0, query.size(), asked::payload_len).client(query);
             c.status_ext(1, {{4096, 0}});
         },
         [](C& c) {
             const nbd::Buffer query = nbd::encode(nbd::BlockStatusQuery{4096, {1}});
             c.extended({.flags = has::block_status_payload, .contexts = {allocation, second}});
             c.request(Command::block_status, 0, query.size(), asked::payload_len).client(query);
             c.status_ext(2, {{4096, 0}});
         }},
        {"STATUS-ONE-CHUNK", server, mapped,
         [](C& c) {
             mapping(c).status(1, {{4096, 0}}, false).status(1, {{4096, 0}});
         }},
        {"STATUS-REQ-ONE", server, mapped_in_one,
         [](C& c) {
             mapping(c, asked::req_one).status(1, {{8192 + 512, 0}});
         }},
        {"STATUS-REQ-ONE", server, mapped_in_one,
         [](C& c) {
             mapping(c, asked::req_one).status(1, {{4096, 0}, {4096, 1}});
         }},
        {"STATUS-SUM", server, mapped,
         [](C& c) {
             mapping(c).status(1, {{8192, 0}, {512, 1}});
         }},
        {"STATUS-ALIGNED", server, mapped,
         [](C& c) {
             mapping(c).status(1, {{4096 + 256, 0}});
         }},
        {"STATUS-MANY", server,
         [](C& c) {
             c.structured({.size = mib * 8, .contexts = {allocation}})
                 .request(Command::block_status, 0, 8 * mib);
             c.status(1, std::vector<nbd::StatusDescriptor>(std::size_t{1} << 20, {1, 0}));
         },
         [](C& c) {
             c.structured({.size = mib * 8, .contexts = {allocation}})
                 .request(Command::block_status, 0, 8 * mib);
             c.status(1, std::vector<nbd::StatusDescriptor>((std::size_t{1} << 20) + 1, {1, 0}));
         }},
        {"ALLOCATION-RESERVED", server, mapped,
         [](C& c) {
             mapping(c).status(1, {{8192, 4}});
         }},
        {"ALLOCATION-32-BITS", server, mapped_extended,
         [](C& c) {
             mapping_extended(c).status_ext(1, {{8192, std::uint64_t{1} << 32}});
         }},
        {"ERROR-LAYOUT", server,
         [](C& c) {
             reading(c).chunk(unknown_error, true, {0, 0, 0, 5, 0, 3, 'b', 'a', 'd', 'x'});
         },
         [](C& c) {
             reading(c).chunk(unknown_error, true, {0, 0, 0, 5, 0, 4, 'b', 'a', 'd'});
         }},
        {"ERROR-LAYOUT", server, read_failed,
         [](C& c) { reading(c).chunk(unknown_error, true, words({5})); }},
        {"ERROR-LENGTH", server, read_failed,
         [](C& c) { reading(c).chunk(ChunkType::error, true, words({5})); }},
        {"ERROR-LENGTH", server, read_failed,
         [](C& c) {
             reading(c).chunk(ChunkType::error, true, {0, 0, 0, 5, 0, 9, 'b', 'a', 'd'});
         }},
        {"ERROR-LENGTH", server,
         [](C& c) {
             reading(c).chunk(ChunkType::error, true, {0, 0, 0, 5, 0, 3, 'b', 'a', 'd', 'x'});
         },
         [](C& c) {
             reading(c).chunk(ChunkType::error, true, {0, 0, 0, 5, 0, 4, 'b', 'a', 'd'});
         }},
        {"ERROR-OFFSET-LENGTH", server, read_failed_at,
         [](C& c) {
             reading(c).chunk(ChunkType::error_offset, true, {0, 0, 0, 5, 0, 2, 'n', 'o', 0, 0, 0, 0, 0, 0});
         }},
        {"ERROR-OFFSET-LENGTH", server, read_failed_at,
         [](C& c) {
             reading(c).chunk(ChunkType::error_offset, true, nbd::Buffer{0, 0, 0, 5, 0, 0, 0, 0});
         }},
        {"ERROR-NOT-ZERO", server, read_failed, [](C& c) { reading(c).error(Error::none); }},
        {"ERROR-VALUE", server, read_failed, [](C& c) { reading(c).error(static_cast<Error>(121)); }},
        {"STRING-LENGTH", server, read_failed,
         [](C& c) { reading(c).error(Error::io, true, std::string(4097, 'x')); }},
        {"STRING-NO-NUL", server, read_failed,
         [](C& c) { reading(c).error(Error::io, true, std::string("a\0b", 3)); }},
        {"STRING-UTF8", server, read_failed, [](C& c) { reading(c).error(Error::io, true, "\xff"); }},
        {"ERROR-ONCE", server, read_failed,
         [](C& c) { reading(c).error(Error::io, false).error(Error::io); }},
        {"ERROR-OFFSET-PLACE", server, read_failed_at,
         [](C& c) {
             c.structured({.flags = has::send_flush}).request(Command::flush, 0, 0).error_at(Error::io, 0);
         }},
        {"ERROR-OFFSET-IN-REQUEST", server, read_failed_at,
         [](C& c) { reading(c).error_at(Error::io, 12 * kib); }},
        {"ERROR-OFFSET-ONCE", server, read_failed_at,
         [](C& c) { reading(c).error_at(Error::io, 5 * kib, false).error_at(Error::io, 5 * kib); }},
        {"ERRORS-NOT-MIXED", server, read_failed_at,
         [](C& c) { reading(c).error_at(Error::io, 5 * kib, false).error(Error::io); }},

        // ---- whole replies
        {"READ-COVERED", server, read_in_two, [](C& c) { reading(c).data(4 * kib, 8 * kib - 1); }},
        {"DF-64K", server,
         [](C& c) {
             c.structured({.flags = has::send_df}).request(Command::read, 0, 64 * kib + 1, asked::df);
             c.error(Error::overflow);
         },
         [](C& c) {
             c.structured({.flags = has::send_df}).request(Command::read, 0, 64 * kib, asked::df);
             c.error(Error::overflow);
         }},
        {"DF-OVERFLOW-EMPTY", server, read_failed,
         [](C& c) {
             c.structured({.flags = has::send_df}).request(Command::read, 0, 128 * kib, asked::df);
             c.data(0, 512, false).error(Error::overflow);
         }},
        {"STATUS-ALL-CONTEXTS", server, mapped,
         [](C& c) {
             c.structured({.contexts = {allocation, second}}).request(Command::block_status, 0, 512);
             c.status(1, {{512, 0}});
         }},
        {"READ-ONLY-REFUSED", server, answered<Command::write, Error::perm, 0, has::read_only>,
         answered<Command::write, Error::none, 0, has::read_only>},
        {"READ-ONLY-EPERM", server, answered<Command::write, Error::perm, 0, has::read_only>,
         answered<Command::write, Error::io, 0, has::read_only>},
        {"READ-PAST-END", server, read_simple, past_end<Command::read, Error::io>},
        {"WRITE-PAST-END", server, answered<Command::write, Error::io>,
         past_end<Command::write, Error::inval>},
        {"TRIM-PAST-END", server, answered<Command::trim, Error::io, 0, has::send_trim>,
         past_end<Command::trim, Error::nospc, has::send_trim>},
        {"ZEROES-PAST-END", server, answered<Command::write_zeroes, Error::io, 0, has::send_write_zeroes>,
         past_end<Command::write_zeroes, Error::inval, has::send_write_zeroes>},
        {"STATUS-PAST-END", server, mapped,
         [](C& c) {
             c.structured({.contexts = {allocation}}).request(Command::block_status, mib, 512);
             c.error(Error::nospc);
         }},
        {"STATUS-UNSELECTED", server, mapped,
         [](C& c) { c.structured().request(Command::block_status, 0, 512).error(Error::io); }},
        {"COMMAND-REFUSED", server, read_simple,
         [](C& c) { c.simple().request(static_cast<Command>(99), 0, 0).done(); }},
        {"COMMAND-FLAG-REFUSED", server, read_simple, answered<Command::write, Error::none, 1U << 15>},
        {"OVERFLOW-PLACE", server, answered<Command::write, Error::io>,
         answered<Command::write, Error::overflow>},
        {"NOTSUP-PLACE", server,
         answered<Command::write_zeroes, Error::notsup, asked::fast_zero,
                  has::send_write_zeroes | has::send_fast_zero>,
         answered<Command::write, Error::notsup>},
        {"FAST-ZERO-UNASKED", server,
         answered<Command::write_zeroes, Error::notsup, asked::fast_zero,
                  has::send_write_zeroes | has::send_fast_zero>,
         answered<Command::write_zeroes, Error::notsup, 0, has::send_write_zeroes | has::send_fast_zero>},
    };
}

} // namespace wire
