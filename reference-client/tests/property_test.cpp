// What holds for any bytes that a server may send.

#include "reference-client/negotiation.hpp"
#include "reference-client/tests/support/bytes.hpp"
#include "reference-client/transmission.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <set>

namespace refclient {
namespace {

using nbd::Command;
using testing::hex;

Agreement any_agreement() {
    std::optional<nbd::InfoResize> resize;
    if (*rc::gen::arbitrary<bool>()) {
        resize.emplace(nbd::InfoResize{nbd::InfoType::resize, 0xff, 512, 0, 1U << 30});
    }
    switch (*rc::gen::inRange(0, 3)) {
    case 0:
        return {nbd::HeaderStyle::compact, false, {}, resize};
    case 1:
        return {nbd::HeaderStyle::compact, true, {1, 2}, resize};
    default:
        return {nbd::HeaderStyle::extended, true, {1, 2}, resize};
    }
}

Operation any_resize() {
    switch (*rc::gen::inRange(0, 4)) {
    case 0:
        return Operation::resize(*rc::gen::arbitrary<std::uint64_t>());
    case 1:
        return Operation::query_size();
    case 2:
        return Operation::notify(*rc::gen::inRange<std::uint64_t>(0, 3));
    default:
        return Operation::cancel(*rc::gen::inRange<std::uint64_t>(0, 9));
    }
}

RC_GTEST_PROP(NegotiationProperty, GarbageIsSurvived, ()) {
    Options options;
    options.list_contexts = *rc::gen::arbitrary<bool>();
    const auto goal = *rc::gen::element(Goal::transmission, Goal::info, Goal::list);
    Negotiation negotiation(options, goal, "x");
    negotiation.feed(hex("4e42444d41474943 49484156454f5054 0003"));
    for (int replies = *rc::gen::inRange(0, 12); replies > 0; --replies) {
        // Mostly headers that are right as far as their length, so that what follows is reached.
        nbd::Buffer message = nbd::encode(nbd::OptionReply{
            *rc::gen::element(nbd::Option::go, nbd::Option::info, nbd::Option::list,
                              nbd::Option::structured_reply, nbd::Option::extended_headers,
                              nbd::Option::set_meta_context, nbd::Option::list_meta_context),
            *rc::gen::element(nbd::OptionReplyType::ack, nbd::OptionReplyType::server,
                              nbd::OptionReplyType::info, nbd::OptionReplyType::meta_context,
                              nbd::OptionReplyType::err_unsup, nbd::OptionReplyType::err_unknown),
            *rc::gen::inRange<std::uint32_t>(0, 40)});
        const auto payload = *rc::gen::arbitrary<nbd::Buffer>();
        message.insert(message.end(), payload.begin(), payload.end());
        RC_ASSERT(negotiation.feed(message) <= message.size());
    }
    negotiation.feed_end();
    RC_ASSERT(negotiation.finished());
    RC_ASSERT(negotiation.take_output().size() < 4096U);
}

RC_GTEST_PROP(TransmissionProperty, GarbageIsSurvived, ()) {
    const Agreement agreement = any_agreement();
    Transmission transmission(agreement, {});
    std::vector<nbd::Buffer> memory;
    std::vector<std::uint64_t> offsets = {0};
    nbd::Buffer out;
    memory.reserve(8);
    for (int i = 0; i < 8; ++i) {
        const Command type = *rc::gen::element(Command::read, Command::write, Command::block_status,
                                               Command::trim, Command::flush, Command::resize);
        Operation operation = type == Command::resize
                                  ? any_resize()
                                  : Operation::range(type, *rc::gen::arbitrary<std::uint64_t>(), 64);
        operation.flags |= type == Command::write && *rc::gen::arbitrary<bool>() ? nbd::command_flag::extend
                                                                                 : std::uint16_t{0};
        offsets.push_back(operation.offset);
        memory.emplace_back(64);
        operation.into = type == Command::read ? std::span(memory.back()) : std::span<std::uint8_t>();
        operation.data = type == Command::write ? nbd::Bytes(memory.back()) : nbd::Bytes();
        transmission.submit(operation, out);
    }
    for (int replies = *rc::gen::inRange(0, 20); replies > 0 && !transmission.failure(); --replies) {
        const auto cookie = *rc::gen::inRange<std::uint64_t>(0, 9);
        // Headers whose fields fit each other most of the time, so that what follows them is reached.
        const auto payload = *rc::gen::container<nbd::Buffer>(*rc::gen::inRange<std::size_t>(0, 80),
                                                              rc::gen::inRange<std::uint8_t>(0, 3));
        const bool right = *rc::gen::inRange(0, 8) != 0;
        nbd::Buffer message;
        if (agreement.structured) {
            nbd::encode_chunk_to(message,
                                 {*rc::gen::inRange<std::uint16_t>(0, 2),
                                  *rc::gen::element(nbd::ChunkType::none, nbd::ChunkType::offset_data,
                                                    nbd::ChunkType::offset_hole, nbd::ChunkType::block_status,
                                                    nbd::ChunkType::block_status_ext, nbd::ChunkType::resize,
                                                    nbd::ChunkType::error, nbd::ChunkType::error_offset),
                                  cookie, right ? offsets[cookie] : 0,
                                  right ? payload.size() : *rc::gen::arbitrary<std::uint32_t>()},
                                 agreement.headers);
        } else {
            nbd::encode_to(message,
                           nbd::SimpleReply{*rc::gen::element(nbd::Error::none, nbd::Error::io), cookie});
        }
        message.insert(message.end(), payload.begin(), payload.end());
        transmission.feed(message);
        RC_ASSERT(transmission.failure() || transmission.wanted().size() <= 65536U);
    }
    std::size_t answered = 0;
    while (transmission.take_any()) {
        ++answered;
    }
    RC_ASSERT(answered + transmission.in_flight() == 8U);
}

RC_GTEST_PROP(TransmissionProperty, AnyOrderOfChunksMakesTheSameRead, ()) {
    const auto data = *rc::gen::nonEmpty(rc::gen::arbitrary<nbd::Buffer>());
    const bool extended = *rc::gen::arbitrary<bool>();
    const auto style = extended ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
    const auto start = *rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 60);
    // Cut the data into pieces, and shuffle these.
    std::vector<std::pair<std::size_t, std::size_t>> pieces;
    for (std::size_t at = 0; at < data.size();) {
        const std::size_t size = *rc::gen::inRange<std::size_t>(1, data.size() - at + 1);
        pieces.emplace_back(at, size);
        at += size;
    }
    for (std::size_t i = pieces.size(); i > 1; --i) {
        std::swap(pieces[i - 1], pieces[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    nbd::Buffer expected = data;
    nbd::Buffer stream;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const auto [at, size] = pieces[i];
        const bool hole = *rc::gen::arbitrary<bool>();
        nbd::Chunk chunk{i + 1 == pieces.size() ? nbd::reply_flag::done : std::uint16_t{0},
                         hole ? nbd::ChunkType::offset_hole : nbd::ChunkType::offset_data, 1, start,
                         hole ? 12 : 8 + size};
        chunk.offset = extended ? start : 0;
        nbd::encode_chunk_to(stream, chunk, style);
        if (hole) {
            nbd::encode_to(stream, nbd::OffsetHole{start + at, static_cast<std::uint32_t>(size)});
            std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), size, std::uint8_t{0});
        } else {
            nbd::encode_to(stream, nbd::OffsetData{start + at});
            const nbd::Bytes part = nbd::Bytes(data).subspan(at, size);
            stream.insert(stream.end(), part.begin(), part.end());
        }
    }
    Transmission transmission({style, true, {}}, {});
    nbd::Buffer out;
    nbd::Buffer memory(data.size(), 0xee);
    transmission.submit(Operation::read(start, memory), out);
    transmission.feed(stream);
    RC_ASSERT(!transmission.failure());
    const auto completion = transmission.take(1);
    RC_ASSERT(completion.has_value());
    RC_ASSERT(completion->ok());
    RC_ASSERT(memory == expected);
}

/// RZ-CHUNK-3, RZ-AUTO-12, RZ-PLAIN-5: the client holds for the size what it was told last, or can know.
RC_GTEST_PROP(BelievedSizeProperty, FollowsWhatIsKnown, ()) {
    const bool told = *rc::gen::arbitrary<bool>();
    const auto style = *rc::gen::element(nbd::HeaderStyle::compact, nbd::HeaderStyle::extended);
    std::optional<nbd::InfoResize> info;
    if (told) {
        info.emplace(nbd::InfoResize{nbd::InfoType::resize, 0xff, 1, 0, UINT64_MAX});
    }
    const auto size = std::make_shared<BelievedSize>(1000);
    Transmission transmission({style, true, {}, info}, {}, size);
    std::uint64_t model = 1000;
    nbd::Buffer out;
    std::uint8_t bytes[16] = {};
    Cookie subscription = 0;
    const auto answer = [&](Cookie cookie, std::uint64_t offset, std::optional<std::uint64_t> reported,
                            bool done) {
        nbd::Buffer message;
        nbd::encode_chunk_to(message,
                             {done ? nbd::reply_flag::done : std::uint16_t{0},
                              reported ? nbd::ChunkType::resize : nbd::ChunkType::none, cookie,
                              style == nbd::HeaderStyle::extended ? offset : 0,
                              reported ? nbd::wire_size<nbd::ResizeChunk> : 0},
                             style);
        if (reported) {
            nbd::encode_to(message, nbd::ResizeChunk{*reported, 0});
        }
        transmission.feed(message);
    };
    for (int steps = *rc::gen::inRange(0, 40); steps > 0; --steps) {
        const auto wanted = *rc::gen::inRange<std::uint64_t>(0, 2000);
        switch (*rc::gen::inRange(0, 5)) {
        case 0: { // A size on request, which may be less.
            const std::uint64_t granted =
                told ? wanted - *rc::gen::inRange<std::uint64_t>(0, wanted + 1) : wanted;
            answer(transmission.submit(Operation::resize(wanted), out), wanted,
                   told ? std::optional(granted) : std::nullopt, true);
            model = granted;
            break;
        }
        case 1:
            answer(transmission.submit(Operation::write(wanted, bytes), out), wanted, std::nullopt, true);
            model = std::max(model, wanted + sizeof(bytes));
            break;
        case 2:
            answer(transmission.submit(Operation::range(Command::trim, wanted, 16), out), wanted,
                   std::nullopt, true);
            break;
        case 3:
            if (told) {
                answer(transmission.submit(Operation::query_size(), out), 0, wanted, true);
                model = wanted;
            }
            break;
        default:
            if (told) {
                subscription =
                    subscription != 0 ? subscription : transmission.submit(Operation::notify(0), out);
                answer(subscription, 0, wanted, false);
                model = wanted;
            }
        }
        RC_ASSERT(!transmission.failure());
        RC_ASSERT(size->get() == model);
        RC_ASSERT(transmission.in_flight() == 0U);
    }
}

RC_GTEST_PROP(CoverageProperty, IsASetOfBytes, ()) {
    Coverage coverage;
    std::set<std::uint64_t> model;
    for (int i = *rc::gen::inRange(0, 60); i > 0; --i) {
        const auto offset = *rc::gen::inRange<std::uint64_t>(0, 100);
        const auto length = *rc::gen::inRange<std::uint64_t>(1, 12);
        bool overlaps = false;
        for (std::uint64_t byte = offset; byte < offset + length; ++byte) {
            overlaps = overlaps || model.contains(byte);
        }
        RC_ASSERT((coverage.add(offset, length) == Coverage::Added::overlaps) == overlaps);
        for (std::uint64_t byte = offset; byte < offset + length && !overlaps; ++byte) {
            model.insert(byte);
        }
        RC_ASSERT(coverage.total() == model.size());
    }
    for (std::uint64_t byte = 0; byte < 120; ++byte) {
        RC_ASSERT(coverage.contains(byte) == model.contains(byte));
    }
}

} // namespace
} // namespace refclient
