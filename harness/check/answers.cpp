#include "harness/check/answers.hpp"

#include "protocol/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness::check {
namespace {

/// Pieces of content and extents should begin and end at multiples of it, in bytes.
constexpr std::uint64_t even = 512;

/// Replies in a description; more are counted.
constexpr std::size_t most_named = 6;

template <class M>
std::optional<M> decoded(const nbd::Buffer& bytes) {
    const auto message = nbd::decode<M>(bytes);
    return message ? std::optional(*message) : std::nullopt;
}

} // namespace

const std::vector<std::string_view>& field_names(bool of_option) {
    static const std::vector<std::string_view> option = {"replies",
                                                         "export-size",
                                                         "transmission-flags",
                                                         "block-minimum",
                                                         "block-preferred",
                                                         "block-maximum",
                                                         "exports",
                                                         "lists-export",
                                                         "contexts",
                                                         "allocation",
                                                         "infos",
                                                         "name-length",
                                                         "capabilities",
                                                         "granularity",
                                                         "smallest",
                                                         "largest",
                                                         "error-length",
                                                         "unlisted-names",
                                                         "unlisted-descriptions",
                                                         "longest-name"};
    static const std::vector<std::string_view> request = {
        "chunks",           "data-chunks",    "holes",      "extents",        "extents-sum",
        "first-extent",     "largest-extent", "contexts",   "errors",         "sizes",
        "new-size",         "size-flags",     "covered",    "unknown-chunks", "done",
        "first-status",     "zero-bytes",     "hole-bytes", "uneven-chunks",  "uneven-extents",
        "equal-neighbours", "crowded-errors"};
    return of_option ? option : request;
}

void OptionOutcome::take(OptionAnswer reply) {
    complete = nbd::is_error(reply.header.type) || reply.header.type == nbd::OptionReplyType::ack;
    replies.push_back(std::move(reply));
}

const nbd::Buffer* OptionOutcome::info(nbd::InfoType type) const {
    for (const OptionAnswer& reply : replies) {
        if (reply.header.type == nbd::OptionReplyType::info && reply.data.size() >= 2 &&
            nbd::decode_prefix<nbd::InfoReplyStart>(reply.data)->type == type) {
            return &reply.data;
        }
    }
    return nullptr;
}

std::vector<nbd::ServerReply> OptionOutcome::listed() const {
    std::vector<nbd::ServerReply> list;
    for (const OptionAnswer& reply : replies) {
        if (reply.header.type == nbd::OptionReplyType::server) {
            if (const auto server = decoded<nbd::ServerReply>(reply.data)) {
                list.push_back(*server);
            }
        }
    }
    return list;
}

std::map<std::string, std::uint32_t> OptionOutcome::contexts() const {
    std::map<std::string, std::uint32_t> found;
    for (const OptionAnswer& reply : replies) {
        if (reply.header.type == nbd::OptionReplyType::meta_context) {
            if (const auto context = decoded<nbd::MetaContextReply>(reply.data)) {
                found.emplace(context->context, context->id);
            }
        }
    }
    return found;
}

Fields OptionOutcome::fields(const std::string& export_name,
                             const std::vector<nbd::ServerReply>& list) const {
    Fields fields;
    fields["replies"] = replies.size();
    if (entered) {
        fields["export-size"] = entered->size;
        fields["transmission-flags"] = entered->transmission_flags;
    }
    const auto get = [&]<class M>(nbd::InfoType type, M) {
        const nbd::Buffer* bytes = info(type);
        return bytes == nullptr ? std::nullopt : decoded<M>(*bytes);
    };
    if (const auto told = get(nbd::InfoType::export_, nbd::InfoExport{})) {
        fields["export-size"] = told->size;
        fields["transmission-flags"] = told->transmission_flags;
    }
    if (const auto block = get(nbd::InfoType::block_size, nbd::InfoBlockSize{})) {
        fields["block-minimum"] = block->minimum;
        fields["block-preferred"] = block->preferred;
        fields["block-maximum"] = block->maximum;
    }
    if (const auto resize = get(nbd::InfoType::resize, nbd::InfoResize{})) {
        fields["capabilities"] = resize->capabilities;
        fields["granularity"] = resize->granularity;
        fields["smallest"] = resize->smallest;
        fields["largest"] = resize->largest;
    }
    if (const auto name = get(nbd::InfoType::name, nbd::InfoText{})) {
        fields["name-length"] = name->text.size();
        fields["unlisted-names"] =
            std::ranges::find(list, name->text, &nbd::ServerReply::export_name) == list.end() ? 1 : 0;
    } else {
        fields["unlisted-names"] = 0;
    }
    const auto description = get(nbd::InfoType::description, nbd::InfoText{});
    const bool described =
        std::ranges::any_of(list, [](const nbd::ServerReply& server) { return !server.description.empty(); });
    fields["unlisted-descriptions"] =
        description && described &&
                std::ranges::find(list, description->text, &nbd::ServerReply::description) == list.end()
            ? 1
            : 0;
    fields["infos"] = static_cast<std::uint64_t>(std::ranges::count_if(
        replies, [](const OptionAnswer& reply) { return reply.header.type == nbd::OptionReplyType::info; }));
    const auto own = listed();
    fields["exports"] = own.size();
    fields["lists-export"] =
        std::ranges::find(own, export_name, &nbd::ServerReply::export_name) != own.end() ? 1 : 0;
    fields["longest-name"] = 0;
    for (const nbd::ServerReply& server : own) {
        fields["longest-name"] = std::max<std::uint64_t>(
            {fields["longest-name"], server.export_name.size(), server.description.size()});
    }
    const auto found = contexts();
    fields["contexts"] = found.size();
    fields["allocation"] = found.count(std::string(nbd::base_allocation));
    if (complete && !replies.empty() && nbd::is_error(final_type())) {
        fields["error-length"] = replies.back().data.size();
    }
    return fields;
}

std::string OptionOutcome::describe() const {
    if (entered) {
        return fmt::format("the export, of {} bytes", entered->size);
    }
    if (replies.empty()) {
        return "nothing";
    }
    std::string text;
    for (std::size_t i = 0; i < std::min(replies.size(), most_named); ++i) {
        text += (i == 0 ? "" : ", ") + nbd::name(replies[i].header.type);
    }
    if (replies.size() > most_named) {
        text += fmt::format(" and {} more, the last {}", replies.size() - most_named,
                            nbd::name(replies.back().header.type));
    }
    if (complete && nbd::is_error(final_type()) && !replies.back().data.empty()) {
        const nbd::Buffer& message = replies.back().data;
        constexpr std::size_t most_shown = 120;
        std::string shown;
        for (std::size_t i = 0; i < std::min(message.size(), most_shown); ++i) {
            shown += message[i] >= 0x20 && message[i] < 0x7f ? static_cast<char>(message[i]) : '.';
        }
        text += fmt::format(" (\"{}\")", shown);
    }
    return text;
}

void RequestOutcome::place(std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t end = offset + length;
    const bool begins = offset % even == 0 || offset == request.offset;
    const bool ends = end % even == 0 || end == request.offset + request.length;
    counts["uneven-chunks"] += begins && ends ? 0U : 1U;
    placed_.push_back({offset, end, 0});
}

void RequestOutcome::fail_at(std::uint64_t offset) {
    for (Placed& piece : placed_) {
        if (offset >= piece.begin && offset < piece.end && ++piece.errors == 2) {
            ++counts["crowded-errors"];
        }
    }
}

void RequestOutcome::content(std::uint64_t offset, nbd::Bytes bytes, std::uint64_t length) {
    if (request.type != nbd::Command::read || offset < request.offset ||
        offset - request.offset > request.length || length > request.length - (offset - request.offset) ||
        request.length > longest_message) {
        return; // the judge says what is wrong with it
    }
    data.resize(static_cast<std::size_t>(request.length));
    std::ranges::copy(bytes, data.begin() + static_cast<std::ptrdiff_t>(offset - request.offset));
    covered += length;
}

void RequestOutcome::take(const SimpleAnswer& answer) {
    complete = true;
    if (answer.reply.error != nbd::Error::none) {
        error = error.value_or(answer.reply.error);
    } else if (request.type == nbd::Command::read) {
        content(request.offset, answer.data, answer.data.size());
    }
}

void RequestOutcome::take(const ChunkAnswer& answer) {
    const nbd::Buffer& payload = answer.payload;
    complete = answer.chunk.done() || subscription;
    ++counts["chunks"];
    counts["done"] = answer.chunk.done() ? 1 : 0;
    switch (answer.chunk.type) {
    case nbd::ChunkType::none:
        return;
    case nbd::ChunkType::offset_data:
        ++counts["data-chunks"];
        if (const auto start = nbd::decode_prefix<nbd::OffsetData>(payload)) {
            const nbd::Bytes bytes = nbd::Bytes(payload).subspan(nbd::wire_size<nbd::OffsetData>);
            place(start->offset, bytes.size());
            content(start->offset, bytes, bytes.size());
        }
        return;
    case nbd::ChunkType::offset_hole:
        ++counts["holes"];
        if (const auto hole = decoded<nbd::OffsetHole>(payload)) {
            place(hole->offset, hole->length);
            content(hole->offset, {}, hole->length);
        }
        return;
    case nbd::ChunkType::resize:
        ++counts["sizes"];
        if (const auto told = decoded<nbd::ResizeChunk>(payload)) {
            size = *told;
        }
        return;
    default:
        break;
    }
    const auto extents = [&](const auto& descriptors) {
        ++counts["contexts"];
        counts["extents"] += descriptors.size();
        std::uint64_t left = request.length; // the last extent may reach beyond what was asked for
        std::optional<std::uint64_t> before;
        for (const auto& extent : descriptors) {
            const std::uint64_t inside = std::min<std::uint64_t>(extent.length, left);
            left -= inside;
            counts["zero-bytes"] += (extent.status & nbd::allocation_flag::zero) != 0 ? inside : 0;
            counts["hole-bytes"] += (extent.status & nbd::allocation_flag::hole) != 0 ? inside : 0;
            const bool is_even = (request.offset + request.length - left) % even == 0 || left == 0;
            counts["uneven-extents"] += is_even ? 0U : 1U;
            counts["equal-neighbours"] += before == extent.status ? 1U : 0U;
            before = extent.status;
            counts["extents-sum"] += extent.length;
            counts["largest-extent"] = std::max<std::uint64_t>(counts["largest-extent"], extent.length);
        }
        if (!descriptors.empty() && !counts.contains("first-extent")) {
            counts["first-extent"] = descriptors.front().length;
            counts["first-status"] = descriptors.front().status;
        }
    };
    if (answer.chunk.type == nbd::ChunkType::block_status) {
        if (const auto status = decoded<nbd::BlockStatus>(payload)) {
            extents(status->descriptors);
        }
    } else if (answer.chunk.type == nbd::ChunkType::block_status_ext) {
        if (const auto status = decoded<nbd::BlockStatusExt>(payload)) {
            extents(status->descriptors);
        }
    } else if (nbd::is_error(answer.chunk.type)) {
        ++counts["errors"];
        // What cannot be read is an error all the same; which one the judge says.
        const auto told =
            payload.size() >= 4
                ? static_cast<nbd::Error>(static_cast<std::uint32_t>(payload[0]) << 24 |
                                          static_cast<std::uint32_t>(payload[1]) << 16 |
                                          static_cast<std::uint32_t>(payload[2]) << 8 | payload[3])
                : nbd::Error::io;
        error = error.value_or(told);
        const auto placed = answer.chunk.type == nbd::ChunkType::error_offset
                                ? decoded<nbd::ErrorOffsetChunk>(payload)
                                : std::nullopt;
        if (placed) {
            fail_at(placed->offset);
        }
    } else {
        ++counts["unknown-chunks"];
    }
}

Fields RequestOutcome::fields() const {
    Fields fields = counts;
    for (const std::string_view name : field_names(false)) {
        fields.try_emplace(std::string(name), 0);
    }
    fields["covered"] = covered;
    if (size) {
        fields["new-size"] = size->size;
        fields["size-flags"] = size->flags;
    } else {
        fields.erase("new-size");
        fields.erase("size-flags");
    }
    return fields;
}

std::string RequestOutcome::describe() const {
    if (error) {
        return nbd::name(*error);
    }
    if (!complete) {
        return counts.empty() ? "nothing" : "a part of a reply";
    }
    if (size) {
        return fmt::format("success, size {}", size->size);
    }
    return "success";
}

} // namespace harness::check
