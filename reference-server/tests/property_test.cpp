// Random requests against a model of the disk, and random bytes against the session.

#include "protocol/handshake.hpp"
#include "protocol/transmission.hpp"
#include "reference-server/tests/support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <rapidcheck.h>
#include <string>
#include <vector>

namespace refserver {
namespace {

constexpr std::uint64_t disk_size = 40000;

/// The disk as the client must see it, and what is known to be allocated.
struct Model {
    std::vector<std::uint8_t> content = std::vector<std::uint8_t>(disk_size);

    Model() {
        const std::string start = "0123456789abcdef";
        std::copy(start.begin(), start.end(), content.begin());
    }
};

struct Asked {
    nbd::Request request;
    nbd::Buffer payload;
};

std::uint64_t random_offset() {
    return *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, disk_size + 10),
                           rc::gen::element<std::uint64_t>(0, 4095, 4096, 8192, disk_size - 1, disk_size,
                                                           disk_size + 1, ~std::uint64_t{0} - 100));
}

Asked random_request(ReplyStyle style) {
    using nbd::Command;
    Asked asked;
    asked.request.type = *rc::gen::element(Command::read, Command::read, Command::write, Command::write,
                                           Command::trim, Command::write_zeroes, Command::flush,
                                           Command::cache, Command::block_status, static_cast<Command>(77));
    asked.request.cookie = *rc::gen::arbitrary<std::uint64_t>();
    asked.request.offset = asked.request.type == Command::flush ? 0 : random_offset();
    asked.request.length = asked.request.type == Command::flush
                               ? 0
                               : *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 20000),
                                                 rc::gen::element<std::uint64_t>(0, 1, 4096, disk_size));
    asked.request.flags =
        *rc::gen::weightedElement<std::uint16_t>({{8, 0}, {2, nbd::command_flag::fua}, {1, 0x4000}});
    if (asked.request.type == Command::write_zeroes && *rc::gen::arbitrary<bool>()) {
        asked.request.flags |= nbd::command_flag::no_hole;
    }
    if (asked.request.type == Command::read && style != ReplyStyle::simple && *rc::gen::arbitrary<bool>()) {
        asked.request.flags |= nbd::command_flag::df;
    }
    if (asked.request.type == Command::write) {
        if (style == ReplyStyle::extended) {
            asked.request.flags |= nbd::command_flag::payload_len;
        }
        const auto seed = *rc::gen::inRange<unsigned>(1, 250);
        asked.payload.resize(asked.request.length);
        for (std::size_t i = 0; i < asked.payload.size(); ++i) {
            asked.payload[i] = static_cast<std::uint8_t>(seed + i * 7);
        }
    }
    return asked;
}

nbd::Error expected_error(const nbd::Request& request) {
    using nbd::Command;
    if ((request.flags & 0x4000) != 0 || request.type == static_cast<Command>(77)) {
        return nbd::Error::inval;
    }
    if (request.offset > disk_size || request.length > disk_size - request.offset) {
        return request.type == Command::write || request.type == Command::write_zeroes ? nbd::Error::nospc
                                                                                       : nbd::Error::inval;
    }
    return request.type == Command::block_status && request.length == 0 ? nbd::Error::inval
                                                                        : nbd::Error::none;
}

void apply(Model& model, const Asked& asked) {
    const auto begin = model.content.begin() + static_cast<std::ptrdiff_t>(asked.request.offset);
    if (asked.request.type == nbd::Command::write) {
        std::copy(asked.payload.begin(), asked.payload.end(), begin);
    } else if (asked.request.type == nbd::Command::write_zeroes || asked.request.type == nbd::Command::trim) {
        // That trimming zeroes is a property of this server, not of the protocol.
        std::fill_n(begin, asked.request.length, std::uint8_t{0});
    }
}

template <class M>
M decoded(nbd::Bytes payload) {
    const auto message = nbd::decode<M>(payload);
    RC_ASSERT(message.has_value());
    return message.value();
}

/// Reads replies out of what the server sent.
class Reader {
  public:
    explicit Reader(nbd::Bytes left)
      : left_(left) {}

    template <class M>
    M take() {
        RC_ASSERT(left_.size() >= nbd::wire_size<M>);
        const auto message = nbd::decode_prefix<M>(left_);
        RC_ASSERT(message.has_value());
        left_ = left_.subspan(nbd::wire_size<M>);
        return message.value();
    }
    nbd::Bytes take(std::uint64_t size) {
        RC_ASSERT(left_.size() >= size);
        const nbd::Bytes part = left_.first(size);
        left_ = left_.subspan(size);
        return part;
    }
    nbd::Chunk take_chunk(ReplyStyle style) {
        if (style == ReplyStyle::extended) {
            const auto chunk = take<nbd::ExtendedChunk>();
            return {chunk.flags, chunk.type, chunk.cookie, chunk.offset, chunk.length};
        }
        const auto chunk = take<nbd::StructuredChunk>();
        return {chunk.flags, chunk.type, chunk.cookie, 0, chunk.length};
    }
    [[nodiscard]] bool empty() const { return left_.empty(); }

  private:
    nbd::Bytes left_;
};

void check_status(const nbd::Request& request, const std::vector<Extent>& extents, const Model& model) {
    RC_ASSERT(!extents.empty());
    std::uint64_t at = request.offset;
    for (const Extent& extent : extents) {
        RC_ASSERT(at < request.offset + request.length);
        RC_ASSERT(extent.length != 0);
        RC_ASSERT(extent.length <= disk_size - at);
        if (extent.status != 0) {
            const auto begin = model.content.begin() + static_cast<std::ptrdiff_t>(at);
            RC_ASSERT(std::all_of(begin, begin + static_cast<std::ptrdiff_t>(extent.length),
                                  [](std::uint8_t byte) { return byte == 0; }));
        }
        at += extent.length;
    }
}

void check_simple(const Asked& asked, Reader& reader, const Model& model, nbd::Error expected) {
    const auto reply = reader.take<nbd::SimpleReply>();
    RC_ASSERT(reply.cookie == asked.request.cookie);
    RC_ASSERT(reply.error == expected);
    if (asked.request.type == nbd::Command::read && expected == nbd::Error::none) {
        const nbd::Bytes data = reader.take(asked.request.length);
        RC_ASSERT(std::equal(data.begin(), data.end(),
                             model.content.begin() + static_cast<std::ptrdiff_t>(asked.request.offset)));
    }
}

void check_chunks(const Asked& asked, Reader& reader, const Model& model, nbd::Error expected,
                  ReplyStyle style) {
    std::uint64_t covered = 0;
    int content_chunks = 0;
    nbd::Error error = nbd::Error::none;
    for (bool done = false; !done;) {
        const nbd::Chunk chunk = reader.take_chunk(style);
        done = chunk.done();
        RC_ASSERT(chunk.cookie == asked.request.cookie);
        RC_ASSERT(style != ReplyStyle::extended || chunk.offset == asked.request.offset);
        const nbd::Bytes payload = reader.take(chunk.length);
        if (chunk.type == nbd::ChunkType::offset_data) {
            const auto offset = nbd::decode_prefix<nbd::OffsetData>(payload).value().offset;
            const nbd::Bytes data = payload.subspan(8);
            RC_ASSERT(offset == asked.request.offset + covered);
            RC_ASSERT(!data.empty());
            RC_ASSERT(std::equal(data.begin(), data.end(),
                                 model.content.begin() + static_cast<std::ptrdiff_t>(offset)));
            covered += data.size();
            ++content_chunks;
        } else if (chunk.type == nbd::ChunkType::offset_hole) {
            const auto hole = decoded<nbd::OffsetHole>(payload);
            RC_ASSERT(hole.offset == asked.request.offset + covered);
            RC_ASSERT(hole.length != 0U);
            for (std::uint64_t i = 0; i < hole.length; ++i) {
                RC_ASSERT(model.content.at(hole.offset + i) == 0);
            }
            covered += hole.length;
            ++content_chunks;
        } else if (chunk.type == nbd::ChunkType::error) {
            error = decoded<nbd::ErrorChunk>(payload).error;
            RC_ASSERT(done);
        } else if (chunk.type == nbd::ChunkType::block_status) {
            RC_ASSERT(style == ReplyStyle::structured);
            const auto message = decoded<nbd::BlockStatus>(payload);
            std::vector<Extent> extents;
            for (const auto& d : message.descriptors) {
                extents.push_back({d.length, d.status});
            }
            check_status(asked.request, extents, model);
        } else if (chunk.type == nbd::ChunkType::block_status_ext) {
            RC_ASSERT(style == ReplyStyle::extended);
            const auto message = decoded<nbd::BlockStatusExt>(payload);
            std::vector<Extent> extents;
            for (const auto& d : message.descriptors) {
                extents.push_back({d.length, static_cast<std::uint32_t>(d.status)});
            }
            check_status(asked.request, extents, model);
        } else {
            RC_ASSERT(chunk.type == nbd::ChunkType::none);
            RC_ASSERT(done);
        }
    }
    RC_ASSERT(error == expected);
    if (asked.request.type == nbd::Command::read && expected == nbd::Error::none) {
        RC_ASSERT(covered == asked.request.length);
        RC_ASSERT((asked.request.flags & nbd::command_flag::df) == 0 || content_chunks <= 1);
    }
}

TEST(Property, the_session_behaves_as_the_model) {
    EXPECT_TRUE(rc::check([] {
        const auto style =
            *rc::gen::element(ReplyStyle::simple, ReplyStyle::structured, ReplyStyle::extended);
        Disk disk(disk_size);
        Model model;
        Conversation conversation(disk.catalogue);
        std::string handshake = "00000003";
        if (style != ReplyStyle::simple) {
            handshake += style == ReplyStyle::structured ? "'IHAVEOPT' 00000008 00000000"
                                                         : "'IHAVEOPT' 0000000b 00000000";
            handshake += "'IHAVEOPT' 0000000a 0000001b 00000000 00000001 0000000f 'base:allocation'";
        }
        conversation.feed(handshake + "'IHAVEOPT' 00000007 00000006 00000000 0000");
        (void)conversation.output();
        const auto header =
            style == ReplyStyle::extended ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
        const int count = *rc::gen::inRange(1, 30);
        for (int i = 0; i < count; ++i) {
            const Asked asked = random_request(style);
            nbd::Buffer input;
            nbd::encode_request_to(input, asked.request, header);
            input.insert(input.end(), asked.payload.begin(), asked.payload.end());
            conversation.feed(input, random_pieces(static_cast<unsigned>(i)));
            nbd::Error expected = expected_error(asked.request);
            if (style == ReplyStyle::simple && asked.request.type == nbd::Command::block_status) {
                expected = nbd::Error::inval;
            }
            if (expected == nbd::Error::none) {
                apply(model, asked);
            }
            const nbd::Buffer output = conversation.output();
            Reader reader(output);
            if (style == ReplyStyle::simple) {
                check_simple(asked, reader, model, expected);
            } else {
                check_chunks(asked, reader, model, expected, style);
            }
            RC_ASSERT(reader.empty());
            RC_ASSERT(!conversation.ended());
        }
    }));
}

/// Bytes that get further than plain garbage: pieces of the protocol, glued together at random.
nbd::Buffer random_bytes() {
    const auto piece = rc::gen::oneOf(
        rc::gen::container<nbd::Buffer>(rc::gen::arbitrary<std::uint8_t>()),
        rc::gen::map(
            rc::gen::element<std::string>(
                "'IHAVEOPT'", "'IHAVEOPT' 00000007 00000006 00000000 0000", "'IHAVEOPT' 00000008 00000000",
                "'IHAVEOPT' 0000000b 00000000", "'IHAVEOPT' 0000000a", "'IHAVEOPT' 00000003 00000000",
                "'IHAVEOPT' 0000000a 0000001b 00000000 00000001 0000000f 'base:allocation'", "00000000",
                "25609513", "21e41c71", "25609513 00000000 00*8 00*8 00001000",
                "25609513 00000001 00*8 00*8 00000004", "21e41c71 00200001 00*8 00*8 0000000000000004",
                "21e41c71 00200007 00*8 00*8 000000000000000c", "ffffffff", "00000004 'disk'"),
            [](const std::string& text) { return bytes(text); }));
    const auto pieces = *rc::gen::container<std::vector<nbd::Buffer>>(piece);
    nbd::Buffer all =
        bytes(*rc::gen::element<std::string>("00000003", "00000003", "00000001", "00000000", ""));
    for (const nbd::Buffer& p : pieces) {
        all.insert(all.end(), p.begin(), p.end());
    }
    return all;
}

TEST(Property, no_bytes_do_harm_and_their_pieces_do_not_matter) {
    EXPECT_TRUE(rc::check([] {
        const nbd::Buffer input = random_bytes();
        std::vector<nbd::Buffer> outputs;
        std::vector<bool> ended;
        for (const Fragments& fragments :
             {whole(), single_bytes(), random_pieces(*rc::gen::inRange(0U, 1000U))}) {
            Disk disk(disk_size);
            Conversation conversation(disk.catalogue);
            conversation.feed(input, fragments);
            ended.push_back(conversation.ended());
            conversation.end_of_input();
            outputs.push_back(conversation.output());
            RC_ASSERT(conversation.ended());
        }
        RC_ASSERT(outputs[1] == outputs[0]);
        RC_ASSERT(outputs[2] == outputs[0]);
        RC_ASSERT(ended[1] == ended[0]);
        RC_ASSERT(ended[2] == ended[0]);
    }));
}

} // namespace
} // namespace refserver
