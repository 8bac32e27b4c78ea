// What servers send in the transmission phase: simple replies and chunks.

#include "harness/wire/apply.hpp"
#include "protocol/describe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace wire {
namespace {

/// The size of an extent in a block status chunk, in bytes.
std::size_t extent_size(nbd::ChunkType type) {
    return type == nbd::ChunkType::block_status ? nbd::wire_size<nbd::StatusDescriptor>
                                                : nbd::wire_size<nbd::StatusDescriptorExt>;
}

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    return a > std::numeric_limits<std::uint64_t>::max() - b ? std::numeric_limits<std::uint64_t>::max()
                                                             : a + b;
}

/// Extents that are looked at in one go.
constexpr std::uint64_t extents_at_once = 512;

} // namespace

void Judge::on_reply_magic(nbd::Bytes bytes) {
    Stream& in = stream(Side::server);
    const auto magic = nbd::detail::load_big<std::uint32_t>(bytes.data());
    switch (magic) {
    case nbd::simple_reply_magic:
        return in.extend(Expect::simple_reply, nbd::wire_size<nbd::SimpleReply>);
    case nbd::structured_reply_magic:
        return in.extend(Expect::structured_chunk, nbd::wire_size<nbd::StructuredChunk>);
    case nbd::extended_reply_magic:
        return in.extend(Expect::extended_chunk, nbd::wire_size<nbd::ExtendedChunk>);
    default:
        break;
    }
    if (magic == 0 && state_.replies == 0 && state_.entered->telling != Telling::oldstyle) {
        return stray(Side::server, StrayEvent::Kind::padding, 0,
                     "the server sends zeroes where the first reply is due");
    }
    stray(Side::server, StrayEvent::Kind::reply_magic, magic,
          "what the server sends does not begin with the magic number of a reply");
}

void Judge::on_simple_reply(nbd::Bytes bytes) {
    const auto reply = nbd::decode<nbd::SimpleReply>(bytes).value();
    say(Side::server, [&] { return nbd::describe(reply); });
    ++state_.replies;
    OpenRequest* open = find(reply.cookie);
    apply(simple_reply_rules(), SimpleReplyEvent{state_, reply, open}, Side::server);
    if (open == nullptr) {
        return lose("a simple reply has the cookie of no open request; whether data follow cannot be known");
    }
    const bool data = open->is(nbd::Command::read) && reply.error == nbd::Error::none;
    if (data && state_.chunks()) {
        return lose("a read was answered by a simple reply, although chunks were agreed");
    }
    stream(Side::server).next(data ? open->request.length : 0);
    if (reply.error != nbd::Error::none) {
        open->error = reply.error;
        state_.read_failed = state_.read_failed || open->is(nbd::Command::read);
    }
    finish_reply(close(reply.cookie), true);
}

void Judge::on_chunk_header(nbd::Bytes bytes, bool extended) {
    const auto style = extended ? nbd::HeaderStyle::extended : nbd::HeaderStyle::compact;
    chunk_ = nbd::decode_chunk(bytes, style).value();
    chunk_extended_ = extended;
    chunk_left_ = chunk_.length;
    ++state_.replies;
    begin_payload();
}

void Judge::begin_payload() {
    Stream& in = stream(Side::server);
    const auto need = [&](Expect what, std::uint64_t least, std::uint64_t most, std::uint64_t bytes) {
        if (chunk_.length < least || chunk_.length > most) {
            say(Side::server, [&] { return nbd::describe(chunk_); });
            ChunkEvent event{state_, chunk_, chunk_extended_, find(chunk_.cookie), {}, {}, {}, {}, true};
            return finish_chunk(event);
        }
        chunk_left_ -= bytes;
        in.await(what, static_cast<std::size_t>(bytes));
    };
    constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
    switch (chunk_.type) {
    case nbd::ChunkType::offset_data:
        return need(Expect::chunk_content, nbd::wire_size<nbd::OffsetData>, any,
                    nbd::wire_size<nbd::OffsetData>);
    case nbd::ChunkType::offset_hole:
        return need(Expect::chunk_content, nbd::wire_size<nbd::OffsetHole>, nbd::wire_size<nbd::OffsetHole>,
                    nbd::wire_size<nbd::OffsetHole>);
    case nbd::ChunkType::block_status:
    case nbd::ChunkType::block_status_ext: {
        status_ = {};
        const std::size_t start =
            chunk_.type == nbd::ChunkType::block_status ? sizeof(std::uint32_t) : 2 * sizeof(std::uint32_t);
        return need(Expect::chunk_status_start, start, any, start);
    }
    case nbd::ChunkType::resize:
        return need(Expect::chunk_size, nbd::wire_size<nbd::ResizeChunk>, nbd::wire_size<nbd::ResizeChunk>,
                    nbd::wire_size<nbd::ResizeChunk>);
    default:
        break;
    }
    if (nbd::is_error(chunk_.type)) {
        return need(Expect::chunk_error, sizeof(std::uint32_t) + sizeof(std::uint16_t), longest_kept,
                    chunk_.length);
    }
    say(Side::server, [&] { return nbd::describe(chunk_); });
    finish_chunk(ChunkEvent{state_, chunk_, chunk_extended_, find(chunk_.cookie), {}, {}, {}, {}, false});
}

void Judge::on_content(nbd::Bytes bytes) {
    Content content;
    if (chunk_.type == nbd::ChunkType::offset_data) {
        const auto data = nbd::decode<nbd::OffsetData>(bytes).value();
        say(Side::server, [&] { return nbd::describe(chunk_) + ": " + nbd::describe(data); });
        content = {data.offset, chunk_left_, false};
    } else {
        const auto hole = nbd::decode<nbd::OffsetHole>(bytes).value();
        say(Side::server, [&] { return nbd::describe(chunk_) + ": " + nbd::describe(hole); });
        content = {hole.offset, hole.length, false};
    }
    OpenRequest* open = find(chunk_.cookie);
    if (open != nullptr && !open->content_unknown) {
        content.overlaps = open->content.add(content.offset, add(content.offset, content.length));
        open->content_unknown = open->content.full();
    }
    finish_chunk(ChunkEvent{state_, chunk_, chunk_extended_, open, content, {}, {}, {}, false});
}

void Judge::on_error(nbd::Bytes bytes) {
    ErrorContent content;
    bool malformed = true;
    // A message need not fill what there is: it may be shorter than the rest, whatever that holds.
    const auto decoded = nbd::decode<nbd::AnyErrorChunk>(bytes);
    if (decoded.has_value()) {
        const auto& rest = decoded.value().remainder;
        const bool with_offset = chunk_.type == nbd::ChunkType::error_offset;
        content.error = decoded.value().error;
        content.message = decoded.value().message;
        malformed = with_offset && rest.size() < sizeof(std::uint64_t);
        if (with_offset && !malformed) {
            content.offset = nbd::detail::load_big<std::uint64_t>(rest.data());
        }
    }
    say(Side::server, [&] {
        return fmt::format("{}: error={} message={}{}", nbd::describe(chunk_), nbd::name(content.error),
                           nbd::quoted(content.message),
                           content.offset ? fmt::format(" offset={}", *content.offset) : "");
    });
    if (malformed) {
        // The error value stands first in every layout.
        content.error = static_cast<nbd::Error>(nbd::detail::load_big<std::uint32_t>(bytes.data()));
    }
    finish_chunk(ChunkEvent{
        state_, chunk_, chunk_extended_, find(chunk_.cookie), {}, std::move(content), {}, {}, malformed});
}

void Judge::on_status_start(nbd::Bytes bytes) {
    status_.context = nbd::detail::load_big<std::uint32_t>(bytes.data());
    if (chunk_.type == nbd::ChunkType::block_status_ext) {
        status_.announced = nbd::detail::load_big<std::uint32_t>(bytes.data() + sizeof(std::uint32_t));
    }
    await_extents();
}

void Judge::await_extents() {
    const std::size_t size = extent_size(chunk_.type);
    const std::uint64_t whole = std::min(chunk_left_ / size, extents_at_once) * size;
    if (whole > 0) {
        chunk_left_ -= whole;
        return stream(Side::server).await(Expect::chunk_extents, static_cast<std::size_t>(whole));
    }
    say(Side::server, [&] {
        return fmt::format("{}: context={} extents={}", nbd::describe(chunk_), status_.context,
                           status_.extents);
    });
    const bool malformed = chunk_left_ != 0 || status_.extents == 0;
    finish_chunk(
        ChunkEvent{state_, chunk_, chunk_extended_, find(chunk_.cookie), {}, {}, status_, {}, malformed});
}

void Judge::on_extents(nbd::Bytes bytes) {
    const bool compact = chunk_.type == nbd::ChunkType::block_status;
    const std::size_t size = extent_size(chunk_.type);
    for (std::size_t at = 0; at < bytes.size(); at += size) {
        const std::uint8_t* from = bytes.data() + at;
        const std::uint64_t length =
            compact ? nbd::detail::load_big<std::uint32_t>(from) : nbd::detail::load_big<std::uint64_t>(from);
        const std::uint64_t flags = compact ? nbd::detail::load_big<std::uint32_t>(from + size / 2)
                                            : nbd::detail::load_big<std::uint64_t>(from + size / 2);
        status_.sum_without_last = add(status_.sum_without_last, status_.last);
        status_.last = length;
        ++status_.extents;
        status_.empty += length == 0 ? 1U : 0U;
        status_.misaligned += length % state_.min_block() != 0 ? 1U : 0U;
        status_.reserved_bits |=
            flags & ~std::uint64_t{nbd::allocation_flag::hole | nbd::allocation_flag::zero};
    }
    await_extents();
}

void Judge::on_size(nbd::Bytes bytes) {
    const auto size = nbd::decode<nbd::ResizeChunk>(bytes).value();
    say(Side::server, [&] { return nbd::describe(chunk_) + ": " + nbd::describe(size); });
    finish_chunk(ChunkEvent{state_, chunk_, chunk_extended_, find(chunk_.cookie), {}, {}, {}, size, false});
}

void Judge::finish_chunk(const ChunkEvent& event) {
    stream(Side::server).next(chunk_left_);
    apply(chunk_rules(), event, Side::server);
    apply(resize_chunk_rules(), event, Side::server);
    OpenRequest* open = find(chunk_.cookie);
    if (open == nullptr) {
        return;
    }
    learn(*open, event);
    if (pieces_ > most_pieces) {
        return lose("replies of very many pieces are under way");
    }
    if (chunk_.done()) {
        finish_reply(close(chunk_.cookie), false);
    }
}

void Judge::learn(OpenRequest& open, const ChunkEvent& event) {
    ++open.chunks;
    if (event.content || event.error || event.status) {
        ++open.pieces;
        ++pieces_;
    }
    if (event.content) {
        ++open.content_chunks;
    }
    if (event.error) {
        open.error = open.error.value_or(event.error->error);
        open.plain_errors += event.is(nbd::ChunkType::error) ? 1U : 0U;
        if (event.error->offset && open.error_offsets.size() < Coverage::most_pieces) {
            open.error_offsets.insert(*event.error->offset);
        }
    } else if (nbd::is_error(event.chunk.type)) {
        open.error = open.error.value_or(nbd::Error::io);
    }
    if (event.status && open.contexts.size() < Coverage::most_pieces) {
        open.contexts.insert(event.status->context);
    }
    if (event.resize) {
        ++open.sizes;
        open.size = event.resize;
        size_told(event.resize->size);
    }
}

OpenRequest Judge::close(std::uint64_t cookie) {
    const auto found = state_.open.find(cookie);
    OpenRequest whole = std::move(found->second);
    state_.open.erase(found);
    state_.subscriptions -= whole.is_subscription() ? 1U : 0U;
    pieces_ -= whole.pieces;
    return whole;
}

void Judge::finish_reply(const OpenRequest& open, bool simple) {
    hear_sizes();
    const ReplyEvent event{state_, open, simple};
    apply(reply_rules(), event, Side::server);
    apply(resize_reply_rules(), event, Side::server);
    state_.shut_down = state_.shut_down || open.error == nbd::Error::shutdown;
    if (event.failed()) {
        return;
    }
    const bool plain_resize = open.is(nbd::Command::resize) &&
                              (open.request.flags & (nbd::command_flag::query | nbd::command_flag::notify |
                                                     nbd::command_flag::cancel)) == 0;
    if (plain_resize && !open.size) {
        size_told(open.request.offset);
    }
    const bool writes = open.is(nbd::Command::write) || open.is(nbd::Command::write_zeroes);
    if (writes && open.effect > 0 && open.end() > state_.largest_size) {
        size_told(open.end());
    }
}

} // namespace wire
