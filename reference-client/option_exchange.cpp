#include "reference-client/option_exchange.hpp"

#include "protocol/describe.hpp"
#include "reference-client/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace refclient {
namespace {

using nbd::Option;
using nbd::OptionReplyType;

template <class M>
M decoded(nbd::Bytes bytes, OptionReplyType type, Option option) {
    const nbd::Decoded<M> message = nbd::decode<M>(bytes);
    if (!message) {
        throw violation(fmt::format("malformed {} in reply to {}: {}", nbd::name(type), nbd::name(option),
                                    message.error().describe()));
    }
    return *message;
}

bool is_meta_option(Option option) {
    return option == Option::list_meta_context || option == Option::set_meta_context;
}

} // namespace

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80             ? 1
                                   : (lead & 0xe0) == 0xc0 ? 2
                                   : (lead & 0xf0) == 0xe0 ? 3
                                   : (lead & 0xf8) == 0xf0 ? 4
                                                           : 0;
        if (length == 0 || text.size() - i < length) {
            return false;
        }
        std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xc0) != 0x80) {
                return false;
            }
            point = (point << 6) | (next & 0x3fU);
        }
        constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
        i += length;
    }
    return true;
}

void check_string(std::string_view what, std::string_view text) {
    if (text.size() > nbd::max_string) {
        throw violation(
            fmt::format("{} of {} bytes, but a string has {} at most", what, text.size(), nbd::max_string));
    }
    if (text.find('\0') != std::string_view::npos) {
        throw violation(fmt::format("{} {} has a NUL in it", what, nbd::quoted(text)));
    }
    if (!is_utf8(text)) {
        throw violation(fmt::format("{} {} is not UTF-8", what, nbd::quoted(text)));
    }
}

void check_block_sizes(const BlockSizes& sizes) {
    constexpr std::uint32_t largest_minimum = 65536;
    const char* wrong = nullptr;
    if (!std::has_single_bit(sizes.minimum) || sizes.minimum > largest_minimum) {
        wrong = "the minimum must be a power of 2 and 65536 at most";
    } else if (!std::has_single_bit(sizes.preferred) || sizes.preferred < std::max(sizes.minimum, 512U)) {
        wrong = "the preferred size must be a power of 2, and not below the minimum or 512";
    } else if (sizes.maximum < sizes.preferred) {
        wrong = "the maximum must not be below the preferred size";
    }
    if (wrong != nullptr) {
        throw violation(fmt::format("NBD_INFO_BLOCK_SIZE with minimum {}, preferred {}, maximum {}: {}",
                                    sizes.minimum, sizes.preferred, sizes.maximum, wrong));
    }
}

void check_resize(const nbd::InfoResize& info, bool structured) {
    namespace can = nbd::resize_capability;
    const auto has = [&](std::uint16_t bit) { return (info.capabilities & bit) != 0; };
    const char* wrong = nullptr;
    if (has(can::shrink) && !has(can::explicit_)) {
        wrong = "SHRINK implies EXPLICIT, which is clear";
    } else if (has(can::automatic_implicit) && !has(can::automatic)) {
        wrong = "AUTO_IMPLICIT implies AUTO, which is clear";
    } else if (!structured && (has(can::query) || has(can::notify))) {
        wrong = "QUERY and NOTIFY need structured replies or extended headers, which were not agreed on";
    } else if (info.granularity == 0) {
        wrong = "the granularity must be at least 1";
    }
    if (wrong != nullptr) {
        throw violation(fmt::format("NBD_INFO_RESIZE with capabilities {}, granularity {}, smallest size {}, "
                                    "largest size {}: {}",
                                    nbd::resize_capability_names(info.capabilities), info.granularity,
                                    info.smallest, info.largest, wrong));
    }
}

void OptionExchange::check_type() const {
    const bool fits =
        reply_.type == OptionReplyType::ack || nbd::is_error(reply_.type) ||
        (reply_.type == OptionReplyType::server && option_ == Option::list) ||
        (reply_.type == OptionReplyType::info && (option_ == Option::info || option_ == Option::go)) ||
        (reply_.type == OptionReplyType::meta_context && is_meta_option(option_));
    if (!fits) {
        throw violation(
            fmt::format("{} is not a reply that {} can have", nbd::name(reply_.type), nbd::name(option_)));
    }
}

OptionExchange::Payload OptionExchange::header(const nbd::OptionReply& reply) {
    reply_ = reply;
    if (reply.option != option_) {
        throw violation(
            fmt::format("a reply to {}, but {} was sent", nbd::name(reply.option), nbd::name(option_)));
    }
    check_type();
    if (reply.type == OptionReplyType::ack && reply.length != 0) {
        throw violation(fmt::format("NBD_REP_ACK to {} with {} bytes of data, but it has none",
                                    nbd::name(option_), reply.length));
    }
    const bool too_long = reply.length > max_option_reply;
    if (too_long && reply.type != OptionReplyType::info) {
        throw violation(fmt::format("{} to {} with {} bytes of data, more than its strings can have",
                                    nbd::name(reply.type), nbd::name(option_), reply.length));
    }
    received_ += nbd::wire_size<nbd::OptionReply> + reply.length;
    if (received_ > max_option_replies) {
        throw violation(
            fmt::format("the replies to {} exceed {} bytes", nbd::name(option_), max_option_replies));
    }
    // An information type that nobody knows yet may be of any size and is to be ignored.
    return too_long ? Payload::skip : Payload::store;
}

void OptionExchange::skipped_type(nbd::InfoType type) const {
    switch (type) {
    case nbd::InfoType::export_:
    case nbd::InfoType::name:
    case nbd::InfoType::description:
    case nbd::InfoType::block_size:
    case nbd::InfoType::resize:
        throw violation(fmt::format("{} of {} bytes, more than it can have", nbd::name(type), reply_.length));
    }
}

bool OptionExchange::payload(nbd::Bytes bytes) {
    switch (reply_.type) {
    case OptionReplyType::server: {
        auto entry = decoded<nbd::ServerReply>(bytes, reply_.type, option_);
        check_string("an export name", entry.export_name);
        check_string("an export's description", entry.description);
        outcome_.exports.push_back(std::move(entry));
        return false;
    }
    case OptionReplyType::meta_context: {
        auto context = decoded<nbd::MetaContextReply>(bytes, reply_.type, option_);
        check_string("a metadata context", context.context);
        outcome_.contexts.push_back(std::move(context));
        return false;
    }
    case OptionReplyType::info:
        take_info(bytes);
        return false;
    default:
        outcome_.last = reply_.type;
        outcome_.message.assign(bytes.begin(), bytes.end());
        finish();
        return true;
    }
}

void OptionExchange::take_info(nbd::Bytes bytes) {
    // Skipped: of a type that is not known.
    if (bytes.empty() && reply_.length != 0) {
        return;
    }
    if (bytes.size() < nbd::wire_size<nbd::InfoReplyStart>) {
        throw violation(fmt::format("NBD_REP_INFO to {} is too short to have a type", nbd::name(option_)));
    }
    switch (nbd::decode_prefix<nbd::InfoReplyStart>(bytes).value().type) {
    case nbd::InfoType::export_:
        outcome_.info = decoded<nbd::InfoExport>(bytes, reply_.type, option_);
        break;
    case nbd::InfoType::name:
        outcome_.name = decoded<nbd::InfoText>(bytes, reply_.type, option_).text;
        check_string("an export name", *outcome_.name);
        break;
    case nbd::InfoType::description:
        outcome_.description = decoded<nbd::InfoText>(bytes, reply_.type, option_).text;
        check_string("an export's description", *outcome_.description);
        break;
    case nbd::InfoType::block_size: {
        const auto sizes = decoded<nbd::InfoBlockSize>(bytes, reply_.type, option_);
        outcome_.block = BlockSizes{sizes.minimum, sizes.preferred, sizes.maximum};
        check_block_sizes(*outcome_.block);
        break;
    }
    case nbd::InfoType::resize:
        take_resize(bytes);
        break;
    }
}

void OptionExchange::take_resize(nbd::Bytes bytes) {
    if (!context_.asked_resize) {
        throw violation(
            fmt::format("NBD_INFO_RESIZE to {}, although it was not asked for", nbd::name(option_)));
    }
    nbd::Buffer exact(bytes.begin(), bytes.end());
    if (context_.faults.has(Fault::information_of_any_length)) {
        exact.resize(nbd::wire_size<nbd::InfoResize>);
    }
    if (exact.size() != nbd::wire_size<nbd::InfoResize>) {
        throw violation(fmt::format("NBD_INFO_RESIZE of {} bytes, but it has exactly {}", bytes.size(),
                                    nbd::wire_size<nbd::InfoResize>));
    }
    if (outcome_.resize) {
        throw violation(fmt::format("a second NBD_INFO_RESIZE to {}", nbd::name(option_)));
    }
    outcome_.resize = nbd::decode<nbd::InfoResize>(exact).value();
    if (context_.faults.has(Fault::refuse_unknown_capabilities) && outcome_.resize->capabilities > 0xff) {
        throw violation(fmt::format("the capabilities {} are not known",
                                    nbd::resize_capability_names(outcome_.resize->capabilities)));
    }
    check_resize(*outcome_.resize, context_.structured);
}

void OptionExchange::finish() {
    if (!outcome_.accepted()) {
        // The message is only shown to people, so nothing is asked of it; the contexts before an error are to
        // be disregarded.
        outcome_.contexts.clear();
        return;
    }
    if ((option_ == Option::info || option_ == Option::go) && !outcome_.info) {
        throw violation(
            fmt::format("NBD_REP_ACK to {} without NBD_INFO_EXPORT before it", nbd::name(option_)));
    }
    if (outcome_.resize && outcome_.block && outcome_.resize->granularity % outcome_.block->minimum != 0) {
        throw violation(
            fmt::format("NBD_INFO_RESIZE with the granularity {}, which is no multiple of the minimum "
                        "block size {}",
                        outcome_.resize->granularity, outcome_.block->minimum));
    }
    if (option_ == Option::set_meta_context) {
        std::vector<std::uint32_t> ids;
        for (const nbd::MetaContextReply& context : outcome_.contexts) {
            ids.push_back(context.id);
        }
        std::ranges::sort(ids);
        if (std::ranges::adjacent_find(ids) != ids.end()) {
            throw violation("two metadata contexts were given the same id");
        }
    }
}

} // namespace refclient
