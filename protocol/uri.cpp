#include "protocol/uri.hpp"

#include <boost/core/detail/string_view.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/grammar/lut_chars.hpp>
#include <boost/url/ipv6_address.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace nbd {
namespace {

namespace urls = boost::urls;

struct Scheme {
    std::string_view name;
    Uri::Transport transport;
    bool tls;
};

constexpr std::array<Scheme, 4> schemes{{
    {"nbd", Uri::Transport::tcp, false},
    {"nbds", Uri::Transport::tcp, true},
    {"nbd+unix", Uri::Transport::unix_socket, false},
    {"nbds+unix", Uri::Transport::unix_socket, true},
}};

constexpr std::string_view tls_parameters[] = {"tls-type", "tls-hostname", "tls-verify-peer"};

boost::core::string_view as_boost(std::string_view text) {
    return {text.data(), text.size()};
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// Finds what no URI may contain, to name the byte: the library only says that something is wrong.
void check_characters(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c <= ' ' || c >= '\x7f' || std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos) {
            throw UriError("URI",
                           fmt::format("the byte {:#04x} must be written as %{:02X}",
                                       static_cast<unsigned char>(c), static_cast<unsigned char>(c)),
                           i);
        }
        if (c == '%' && (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))) {
            throw UriError("URI",
                           "a % must be followed by two hexadecimal digits; % itself is written as %25", i);
        }
    }
}

/// Refuses what Boost's versions take differently: 1.81 makes a path of a port that is no number, 1.83 takes
/// zones.
void check_authority(std::string_view text) {
    const std::size_t start = text.find(':') + 1;
    if (!text.substr(start).starts_with("//")) {
        return;
    }
    std::string_view authority = text.substr(start + 2);
    authority = authority.substr(0, authority.find_first_of("/?#"));
    authority.remove_prefix(authority.find('@') + 1);
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (authority.substr(0, end).find('%') != std::string_view::npos) {
            throw UriError("host", "an IPv6 address with a zone (%) is not supported");
        }
        authority.remove_prefix(end == std::string_view::npos ? authority.size() : end + 1);
    }
    const std::size_t colon = authority.find(':');
    const std::string_view port =
        authority.substr(colon == std::string_view::npos ? authority.size() : colon + 1);
    if (port.find_first_not_of("0123456789") != std::string_view::npos) {
        throw UriError(
            "port",
            fmt::format("{} is not a number from 1 to 65535 (an IPv6 address is written in brackets)", port));
    }
}

const Scheme& find_scheme(std::string_view text) {
    const std::size_t colon = text.find(':');
    std::string name(text.substr(0, colon == std::string_view::npos ? 0 : colon));
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") !=
        std::string::npos) {
        name.clear(); // the colon is part of something else
    }
    // Schemes are case-insensitive (RFC 3986, 3.1).
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    for (const Scheme& scheme : schemes) {
        if (scheme.name == name) {
            return scheme;
        }
    }
    if (name == "nbd+vsock" || name == "nbds+vsock") {
        throw UriError("scheme",
                       fmt::format("{}: vsock is not supported; use nbd, nbds, nbd+unix or nbds+unix", name));
    }
    if (name.empty()) {
        throw UriError("scheme", "there is none; an NBD URI begins with nbd://, nbds://, nbd+unix:// or "
                                 "nbds+unix://");
    }
    throw UriError("scheme", fmt::format("{}: not one of nbd, nbds, nbd+unix and nbds+unix", name));
}

std::string decoded(urls::pct_string_view text) {
    return text.decode(); // a + stays a +: only HTML forms make it a space
}

std::uint16_t parse_port(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
        throw UriError("port", fmt::format("{} is not a number from 1 to 65535", digits));
    }
    return port;
}

void parse_authority(const urls::url_view& view, Uri& uri) {
    if (!view.has_authority() && uri.transport == Uri::Transport::tcp) {
        throw UriError("host", "two slashes must follow the scheme, as in nbd://HOST:PORT/EXPORT");
    }
    if (view.has_userinfo()) {
        uri.user = decoded(view.encoded_userinfo());
    }
    if (view.host_type() == urls::host_type::ipvfuture) {
        throw UriError("host",
                       fmt::format("{}: not a known kind of address", std::string(view.encoded_host())));
    }
    const std::string host = decoded(view.encoded_host_address());
    const std::string_view port(view.port().data(), view.port().size());
    if (uri.transport == Uri::Transport::unix_socket) {
        if (!host.empty() || view.has_port()) {
            throw UriError("host", "a Unix socket has neither host nor port; write three slashes, as in "
                                   "nbd+unix:///export?socket=PATH");
        }
        return;
    }
    if (!host.empty()) {
        uri.host = host;
    }
    if (!port.empty()) {
        uri.port = parse_port(port);
    }
}

std::string parse_export_name(const urls::url_view& view) {
    std::string path = decoded(view.encoded_path());
    if (path.empty()) {
        return path;
    }
    if (view.encoded_path().front() != '/') {
        throw UriError("export name",
                       fmt::format("a slash is missing before \"{}\"", std::string(view.encoded_path())));
    }
    // Only the first slash separates; any further one belongs to the name.
    return path.substr(1);
}

void parse_query(const urls::url_view& view, Uri& uri) {
    bool socket_seen = false;
    for (const auto& encoded : view.encoded_params()) {
        UriParameter parameter{decoded(encoded.key), encoded.has_value ? decoded(encoded.value) : ""};
        if (parameter.key.empty()) {
            if (encoded.has_value) {
                throw UriError("query", fmt::format("the value \"{}\" has no name", parameter.value));
            }
            continue; // "?" with nothing behind it, or "&&"
        }
        if (parameter.key != "socket") {
            uri.parameters.push_back(std::move(parameter));
            continue;
        }
        if (socket_seen) {
            throw UriError("socket", "given twice");
        }
        socket_seen = true;
        uri.socket = std::move(parameter.value);
    }
    if (socket_seen && uri.transport == Uri::Transport::tcp) {
        throw UriError("socket",
                       "only for nbd+unix and nbds+unix; change the scheme, or leave the parameter out");
    }
}

bool has_nul(std::string_view text, std::size_t from = 0) {
    return text.find('\0', from) != std::string_view::npos;
}

/// What holds for every Uri, wherever it comes from.
void check(const Uri& uri) {
    if (has_nul(uri.export_name)) {
        throw UriError("export name", "holds a NUL, which no export name may");
    }
    if (has_nul(uri.user)) {
        throw UriError("user", "holds a NUL");
    }
    if (uri.transport == Uri::Transport::tcp) {
        if (uri.host.empty() || has_nul(uri.host)) {
            throw UriError("host", uri.host.empty() ? "empty" : "holds a NUL");
        }
        if (uri.host.find(':') != std::string::npos && !urls::parse_ipv6_address(as_boost(uri.host))) {
            throw UriError("host", fmt::format("{} is no IPv6 address", uri.host));
        }
        if (uri.port == 0) {
            throw UriError("port", "0 is not a number from 1 to 65535");
        }
    } else if (uri.socket.empty() || uri.socket == std::string_view("\0", 1)) {
        throw UriError("socket", "the path of the Unix socket is missing; add ?socket=PATH");
    } else if (has_nul(uri.socket, 1)) {
        throw UriError("socket", "holds a NUL behind its first byte");
    }
    for (const UriParameter& parameter : uri.parameters) {
        if (parameter.key.empty()) {
            throw UriError("query", "a parameter has no name");
        }
        if (parameter.key == "tls-verify-peer" && parameter.value != "0" && parameter.value != "1") {
            throw UriError("tls-verify-peer", "must be 0 or 1");
        }
    }
}

} // namespace

UriError::UriError(std::string_view where, const std::string& why, std::optional<std::size_t> position)
  : std::invalid_argument(fmt::format("NBD URI{}{}{}: {}", where == "URI" ? "" : ", ",
                                      where == "URI" ? "" : where,
                                      position ? fmt::format(" (byte {})", *position) : "", why))
  , where_(where)
  , position_(position) {}

std::optional<std::string_view> Uri::parameter(std::string_view key) const {
    const auto found = std::ranges::find(parameters, key, &UriParameter::key);
    if (found == parameters.end()) {
        return std::nullopt;
    }
    return found->value;
}

std::vector<std::string> Uri::unknown_parameters() const {
    std::vector<std::string> unknown;
    for (const UriParameter& parameter : parameters) {
        if (!parameter.key.starts_with("x-") &&
            std::ranges::find(tls_parameters, parameter.key) == std::end(tls_parameters)) {
            unknown.push_back(parameter.key);
        }
    }
    return unknown;
}

Uri parse_uri(std::string_view text) {
    const Scheme& scheme = find_scheme(text);
    check_characters(text);
    check_authority(text);
    const auto parsed = urls::parse_uri(as_boost(text));
    if (!parsed) {
        throw UriError("URI", "not of the form nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH");
    }
    const urls::url_view& view = *parsed;
    if (view.has_fragment()) {
        throw UriError("fragment", "an NBD URI has none; a # in a name is written as %23", text.find('#'));
    }

    Uri uri;
    uri.transport = scheme.transport;
    uri.tls = scheme.tls;
    if (uri.transport == Uri::Transport::unix_socket) {
        uri.host.clear();
    }
    parse_authority(view, uri);
    parse_query(view, uri);
    uri.export_name = parse_export_name(view);
    check(uri);
    return uri;
}

std::string format_uri(const Uri& uri) {
    check(uri);
    const bool tcp = uri.transport == Uri::Transport::tcp;
    constexpr auto plain = urls::unreserved_chars;
    constexpr auto in_path = urls::unreserved_chars + urls::grammar::lut_chars("/=,:@");
    constexpr auto in_value = urls::unreserved_chars + urls::grammar::lut_chars("/,:@");

    std::string result = fmt::format("nbd{}{}://", uri.tls ? "s" : "", tcp ? "" : "+unix");
    if (!uri.user.empty()) {
        result += fmt::format("{}@", urls::encode(uri.user, plain));
    }
    if (tcp) {
        const bool ipv6 = uri.host.find(':') != std::string::npos;
        result += ipv6 ? fmt::format("[{}]", uri.host) : urls::encode(uri.host, plain);
        if (uri.port != default_port) {
            result += fmt::format(":{}", uri.port);
        }
    }
    result += fmt::format("/{}", urls::encode(uri.export_name, in_path));

    char separator = '?';
    const auto add = [&](std::string_view key, std::string_view value) {
        result += fmt::format("{}{}={}", separator, urls::encode(as_boost(key), plain),
                              urls::encode(as_boost(value), in_value));
        separator = '&';
    };
    if (!tcp) {
        add("socket", uri.socket);
    }
    for (const UriParameter& parameter : uri.parameters) {
        add(parameter.key, parameter.value);
    }
    return result;
}

} // namespace nbd
