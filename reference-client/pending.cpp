#include "reference-client/pending.hpp"

#include "reference-client/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace refclient {
namespace {

using nbd::ChunkType;
using nbd::Command;

/// Error chunks hold a message and few fields; this leaves room for fields that nobody knows yet.
constexpr std::uint64_t max_error_payload = 65536;
/// Error offsets that are remembered for one request.
constexpr std::size_t max_error_offsets = 65536;

template <class M>
M decoded(nbd::Bytes bytes) {
    const nbd::Decoded<M> message = nbd::decode<M>(bytes);
    if (!message) {
        throw violation(fmt::format("malformed payload: {}", message.error().describe()));
    }
    return *message;
}

/// The commands that an error may be located for.
bool has_range(Command command) {
    return command == Command::read || command == Command::write || command == Command::trim ||
           command == Command::cache || command == Command::write_zeroes || command == Command::block_status;
}

void expect_length(const nbd::Chunk& chunk, bool fits, std::string_view rule) {
    if (!fits) {
        throw violation(fmt::format("its length is {}, but {}", chunk.length, rule));
    }
}

} // namespace

Pending::Pending(const Agreement& agreement, Cookie cookie, Operation operation, std::uint64_t size)
  : agreement_(&agreement)
  , size_before_(size) {
    completion_.cookie = cookie;
    completion_.operation = std::move(operation);
}

std::span<std::uint8_t> Pending::simple_reply(nbd::Error error) {
    if (error != nbd::Error::none) {
        // With structured replies agreed, a server must not send this to a read. It is unambiguous all the
        // same and released servers do it, so the connection is worth keeping.
        add_error(error, {});
        return {};
    }
    if (operation().type != Command::read) {
        return {};
    }
    if (agreement_->structured) {
        throw violation("a simple reply to NBD_CMD_READ, although structured replies were agreed");
    }
    if (operation().length > 0) {
        coverage_.add(operation().offset, operation().length);
    }
    return operation().into;
}

Pending::Plan Pending::chunk(const nbd::Chunk& chunk) {
    chunk_ = chunk;
    const bool extended = agreement_->headers == nbd::HeaderStyle::extended;
    if (extended && chunk.offset != operation().offset) {
        throw violation(fmt::format("its header has the offset {}, but that of the request is {}",
                                    chunk.offset, operation().offset));
    }
    if (nbd::is_error(chunk.type)) {
        const std::uint64_t least = chunk.type == ChunkType::error_offset ? 14 : 6;
        expect_length(chunk, chunk.length >= least, fmt::format("it must be at least {}", least));
        expect_length(chunk, chunk.length <= max_error_payload,
                      fmt::format("no error has more than {}", max_error_payload));
        if (sizes_ > 0 && !is_subscription()) {
            throw violation("an error behind NBD_REPLY_TYPE_RESIZE, which tells of success");
        }
        return {static_cast<std::size_t>(chunk.length), false};
    }
    const bool read = operation().type == Command::read;
    const bool status = operation().type == Command::block_status;
    switch (chunk.type) {
    case ChunkType::none:
        expect_length(chunk, chunk.length == 0, "it must be 0");
        if (!chunk.done()) {
            throw violation("NBD_REPLY_FLAG_DONE is not set");
        }
        return {};
    case ChunkType::offset_data:
        if (read) {
            expect_length(chunk, chunk.length > nbd::wire_size<nbd::OffsetData>, "it must be at least 9");
            expect_length(chunk, chunk.length - nbd::wire_size<nbd::OffsetData> <= operation().length,
                          fmt::format("only {} bytes are to be read", operation().length));
            return {nbd::wire_size<nbd::OffsetData>, true};
        }
        break;
    case ChunkType::offset_hole:
        if (read) {
            expect_length(chunk, chunk.length == nbd::wire_size<nbd::OffsetHole>, "it must be 12");
            return {nbd::wire_size<nbd::OffsetHole>, false};
        }
        break;
    case ChunkType::block_status:
        if (status && !extended) {
            expect_length(chunk, chunk.length >= 12 && chunk.length % 8 == 4,
                          "it must be 4 and a multiple of 8");
            expect_length(chunk, chunk.length <= max_stored_payload, "that is too much to ask of a client");
            return {static_cast<std::size_t>(chunk.length), false};
        }
        break;
    case ChunkType::block_status_ext:
        if (status && extended) {
            expect_length(chunk, chunk.length >= 24 && chunk.length % 16 == 8,
                          "it must be 8 and a multiple of 16");
            expect_length(chunk, chunk.length <= max_stored_payload, "that is too much to ask of a client");
            return {static_cast<std::size_t>(chunk.length), false};
        }
        break;
    case ChunkType::resize:
        check_resize(chunk);
        return {static_cast<std::size_t>(chunk.length), false};
    default:
        throw violation("its type is unknown");
    }
    throw violation(fmt::format("its type does not fit {}{}", nbd::name(operation().type),
                                extended ? " with extended headers" : ""));
}

std::span<std::uint8_t> Pending::payload(nbd::Bytes bytes) {
    switch (chunk_.type) {
    case ChunkType::offset_data:
        return take_data(bytes);
    case ChunkType::offset_hole:
        take_hole(bytes);
        break;
    case ChunkType::block_status:
        take_status(bytes);
        break;
    case ChunkType::block_status_ext:
        take_status_ext(bytes);
        break;
    case ChunkType::resize:
        take_resize(bytes);
        break;
    case ChunkType::none:
        break;
    default:
        take_error(bytes);
    }
    return {};
}

void Pending::check_content(std::uint64_t offset, std::uint64_t length) {
    const Operation& wanted = operation();
    // Compared this way round nothing can overflow.
    if (offset < wanted.offset || offset - wanted.offset > wanted.length ||
        length > wanted.length - (offset - wanted.offset)) {
        throw violation(fmt::format("{} bytes at {} are not within {}", length, offset, to_text(wanted)));
    }
    ++content_chunks_;
    if ((wanted.flags & nbd::command_flag::df) != 0 && content_chunks_ > 1) {
        throw violation("a second chunk with content, although NBD_CMD_FLAG_DF was set");
    }
    switch (coverage_.add(offset, length)) {
    case Coverage::Added::yes:
        break;
    case Coverage::Added::overlaps:
        throw violation(fmt::format("{} bytes at {} overlap an earlier chunk", length, offset));
    case Coverage::Added::full:
        throw violation(fmt::format("the reply is in more than {} separate pieces", Coverage::max_ranges));
    }
    const auto failed = error_offsets_.lower_bound(offset);
    if (failed != error_offsets_.end() && *failed - offset < length) {
        throw violation(
            fmt::format("{} bytes at {} overlap an earlier error at {}", length, offset, *failed));
    }
}

std::span<std::uint8_t> Pending::take_data(nbd::Bytes bytes) {
    const auto head = decoded<nbd::OffsetData>(bytes);
    const std::uint64_t length = chunk_.length - nbd::wire_size<nbd::OffsetData>;
    check_content(head.offset, length);
    return operation().into.subspan(static_cast<std::size_t>(head.offset - operation().offset),
                                    static_cast<std::size_t>(length));
}

void Pending::take_hole(nbd::Bytes bytes) {
    const auto hole = decoded<nbd::OffsetHole>(bytes);
    if (hole.length == 0) {
        throw violation("a hole of 0 bytes");
    }
    check_content(hole.offset, hole.length);
    const auto start = static_cast<std::size_t>(hole.offset - operation().offset);
    std::memset(operation().into.subspan(start).data(), 0, hole.length);
}

void Pending::take_status(nbd::Bytes bytes) {
    const auto block = decoded<nbd::BlockStatus>(bytes);
    ContextStatus status{block.context, {}};
    status.extents.reserve(block.descriptors.size());
    for (const nbd::StatusDescriptor& extent : block.descriptors) {
        status.extents.push_back({extent.length, extent.status});
    }
    check_status(status);
    completion_.status.push_back(std::move(status));
}

void Pending::take_status_ext(nbd::Bytes bytes) {
    const auto block = decoded<nbd::BlockStatusExt>(bytes);
    ContextStatus status{block.context, {}};
    status.extents.reserve(block.descriptors.size());
    for (const nbd::StatusDescriptorExt& extent : block.descriptors) {
        status.extents.push_back({extent.length, extent.status});
    }
    check_status(status);
    completion_.status.push_back(std::move(status));
}

void Pending::check_status(const ContextStatus& status) {
    const std::vector<std::uint32_t> expected = expected_contexts();
    if (std::ranges::find(expected, status.context) == expected.end()) {
        throw violation(fmt::format("the metadata context {} was not selected", status.context));
    }
    for (const ContextStatus& earlier : completion_.status) {
        if (earlier.context == status.context) {
            throw violation(fmt::format("a second chunk for the metadata context {}", status.context));
        }
    }
    const bool one = (operation().flags & nbd::command_flag::req_one) != 0;
    if (one && status.extents.size() != 1) {
        throw violation(
            fmt::format("{} extents, although NBD_CMD_FLAG_REQ_ONE was set", status.extents.size()));
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < status.extents.size(); ++i) {
        const std::uint64_t length = status.extents[i].length;
        if (length == 0) {
            throw violation("an extent of 0 bytes");
        }
        if (i > 0 && sum >= operation().length) {
            throw violation("an extent that begins behind the range that was asked for");
        }
        if (length > UINT64_MAX - operation().offset - sum) {
            throw violation("extents that end beyond the largest possible offset");
        }
        sum += length;
    }
    if (one && sum > operation().length) {
        throw violation(fmt::format("an extent of {} bytes, although NBD_CMD_FLAG_REQ_ONE was set and only "
                                    "{} bytes were asked for",
                                    sum, operation().length));
    }
}

void Pending::take_error(nbd::Bytes bytes) {
    if (chunk_.type == ChunkType::error_offset && has_range(operation().type)) {
        // What the type defines ends at a place that the message's length tells; more may follow.
        const auto error = decoded<nbd::AnyErrorChunk>(bytes);
        if (error.remainder.size() < sizeof(std::uint64_t)) {
            throw violation("its message leaves no room for the offset");
        }
        const auto at = nbd::decode_prefix<nbd::OffsetData>(error.remainder).value();
        const Operation& wanted = operation();
        if (at.offset < wanted.offset || at.offset - wanted.offset >= wanted.length) {
            throw violation(fmt::format("an error at {} is not within {}", at.offset, to_text(wanted)));
        }
        add_error(error.error, error.message);
        if (!completion_.error_offset) {
            completion_.error_offset = at.offset;
        }
        if (error_offsets_.size() < max_error_offsets) {
            error_offsets_.insert(at.offset);
        }
        return;
    }
    const auto error = decoded<nbd::AnyErrorChunk>(bytes);
    add_error(error.error, error.message);
}

void Pending::add_error(nbd::Error error, std::string message) {
    if (error == nbd::Error::none) {
        throw violation("an error chunk with the error 0");
    }
    if (message.size() > nbd::max_string) {
        throw violation(fmt::format("an error message of {} bytes", message.size()));
    }
    // The first error is the one that the others may follow from.
    if (completion_.ok()) {
        completion_.error = known_error(error);
        completion_.message = std::move(message);
    }
}

bool Pending::is_subscription() const {
    return operation().type == Command::resize && resize_form(operation()) == ResizeForm::notify;
}

bool Pending::past_end() const {
    return writes_data(operation()) && operation().length > 0 && end_of(operation()) > size_before_;
}

void Pending::check_resize(const nbd::Chunk& chunk) const {
    const bool extends = writes_data(operation()) && (operation().flags & nbd::command_flag::extend) != 0;
    const bool resizes =
        operation().type == Command::resize && resize_form(operation()) != ResizeForm::cancel;
    if (!extends && !resizes) {
        throw violation(fmt::format("its type does not fit {}{}", nbd::name(operation().type),
                                    writes_data(operation()) ? " without NBD_CMD_FLAG_EXTEND" : ""));
    }
    if (!agreement_->resize) {
        throw violation("its type must not be used, because NBD_INFO_RESIZE was not sent");
    }
    const bool any_length = agreement_->faults.has(Fault::size_of_any_length) &&
                            chunk.length > nbd::wire_size<nbd::ResizeChunk> &&
                            chunk.length <= max_error_payload;
    expect_length(chunk, chunk.length == nbd::wire_size<nbd::ResizeChunk> || any_length, "it must be 12");
    if (!completion_.ok()) {
        throw violation("a size behind an error");
    }
    if (!is_subscription()) {
        if (sizes_ > 0) {
            throw violation("a second size in one reply");
        }
        return;
    }
    if (sizes_ == 0 && chunk.done()) {
        throw violation("NBD_REPLY_FLAG_DONE is set, but a subscription goes on after its first chunk");
    }
    // The first size is none of those that cost credit.
    if (operation().length != 0 && sizes_ > operation().length &&
        !agreement_->faults.has(Fault::accept_beyond_credit)) {
        throw violation(fmt::format("a notification more than the {} that were allowed", operation().length));
    }
}

void Pending::take_resize(nbd::Bytes bytes) {
    namespace told = nbd::resize_flag;
    const auto told_now = nbd::decode_prefix<nbd::ResizeChunk>(bytes).value();
    if (agreement_->faults.has(Fault::refuse_unknown_size_flags) &&
        (told_now.flags & ~(told::zeroed | told::external | told::coalesced)) != 0) {
        throw violation(fmt::format("the flags {} are not known", nbd::resize_flag_names(told_now.flags)));
    }
    const bool subscription = is_subscription();
    const bool changed = !subscription || sizes_ > 0;
    const bool query = operation().type == Command::resize && resize_form(operation()) == ResizeForm::query;
    if ((query || !changed) && (told_now.flags & (told::zeroed | told::external | told::coalesced)) != 0) {
        throw violation(fmt::format("the flags {} with a size that did not change",
                                    nbd::resize_flag_names(told_now.flags)));
    }
    ++sizes_;
    completion_.resize = told_now;
}

void Pending::finish_resize() const {
    const ResizeForm form = resize_form(operation());
    if (sizes_ > 0 || form == ResizeForm::cancel) {
        return;
    }
    const bool told = agreement_->structured && agreement_->resize;
    if (form != ResizeForm::plain || told) {
        throw violation(
            fmt::format("{} ended as a success without NBD_REPLY_TYPE_RESIZE", to_text(operation())));
    }
}

std::vector<std::uint32_t> Pending::expected_contexts() const {
    return operation().contexts.empty() ? agreement_->contexts : operation().contexts;
}

Completion Pending::finish() {
    if (completion_.ok() && operation().type == Command::read && coverage_.total() != operation().length) {
        throw violation(fmt::format("{} ended as a success with {} bytes missing", to_text(operation()),
                                    operation().length - coverage_.total()));
    }
    if (completion_.ok() && operation().type == Command::block_status) {
        const std::size_t expected = expected_contexts().size();
        if (completion_.status.size() != expected || expected == 0) {
            throw violation(fmt::format("{} ended as a success with the status of {} of {} contexts",
                                        to_text(operation()), completion_.status.size(), expected));
        }
    }
    if (completion_.ok() && operation().type == Command::resize) {
        finish_resize();
    }
    if (!completion_.ok()) {
        completion_.status.clear();
    }
    return std::move(completion_);
}

} // namespace refclient
