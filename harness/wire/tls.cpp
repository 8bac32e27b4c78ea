#include "harness/wire/tls.hpp"

#include "protocol/codec.hpp"
#include "protocol/numbers.hpp"

#include <algorithm>
#include <utility>

namespace wire {
namespace {

using Kind = StrayEvent::Kind;

constexpr std::uint8_t alert = 21;
constexpr std::uint8_t handshake = 22;
constexpr std::uint8_t first_type = 20;
constexpr std::uint8_t last_type = 24;
constexpr std::uint8_t major_version = 3;
constexpr std::uint8_t fatal = 2;
constexpr std::size_t header_size = 5;
constexpr std::size_t alert_size = 2; ///< in clear; encrypted ones are longer
/// The content of a record and what encryption adds to it, in bytes.
constexpr std::size_t longest_record = (1U << 14) + 2048;
/// The magic number of an option and which option it is.
constexpr std::size_t option_size = 12;

bool is_type(std::uint8_t byte) {
    return byte >= first_type && byte <= last_type;
}

std::size_t length_of(const nbd::Buffer& header) {
    return nbd::detail::load_big<std::uint16_t>(header.data() + 3);
}

/// How many bytes have to be there before anything can be said.
std::size_t needed(const nbd::Buffer& begun) {
    if (!is_type(begun.front())) {
        return option_size;
    }
    const bool short_alert =
        begun.size() >= header_size && begun.front() == alert && length_of(begun) == alert_size;
    return header_size + (short_alert ? alert_size : 0);
}

} // namespace

std::optional<Tls::Found> Tls::feed(Side from, nbd::Bytes bytes) {
    Records& in = sides_[static_cast<int>(from)];
    for (std::size_t at = 0; at < bytes.size() && !in.lost;) {
        if (in.left > 0) {
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(in.left, bytes.size() - at));
            in.left -= some;
            at += some;
            continue;
        }
        in.begun.push_back(bytes[at++]);
        if (in.begun.size() < needed(in.begun)) {
            continue;
        }
        const auto wrong = record(from, in);
        const nbd::Buffer seen = std::exchange(in.begun, {});
        if (wrong) {
            return Found{*wrong, at, seen.size(), seen.front()};
        }
    }
    return std::nullopt;
}

std::optional<Kind> Tls::record(Side from, Records& in) {
    const std::uint8_t type = in.begun.front();
    if (!is_type(type) || in.begun[1] != major_version || length_of(in.begun) > longest_record) {
        in.lost = true;
        return no_record(from, in);
    }
    if (type == alert && in.begun.size() == header_size + alert_size) {
        failed_ = failed_ || in.begun[header_size] == fatal;
    } else {
        in.left = length_of(in.begun);
    }
    const bool first = std::exchange(in.first, false);
    const bool begins = type == handshake || type == alert;
    return first && from == Side::client && !begins ? std::optional(Kind::no_tls_handshake) : std::nullopt;
}

std::optional<Kind> Tls::no_record(Side from, Records& in) const {
    if (from == Side::server || !failed_) {
        return Kind::not_over_tls;
    }
    const std::uint8_t* const bytes = in.begun.data();
    const bool aborts = in.begun.size() == option_size &&
                        nbd::detail::load_big<std::uint64_t>(bytes) == nbd::option_magic &&
                        nbd::detail::load_big<std::uint32_t>(bytes + sizeof nbd::option_magic) ==
                            static_cast<std::uint32_t>(nbd::Option::abort);
    return aborts ? Kind::aborts_without_tls : Kind::goes_on_without_tls;
}

} // namespace wire
