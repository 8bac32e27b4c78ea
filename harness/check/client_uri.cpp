#include "harness/check/client_uri.hpp"

#include "harness/catalogue/placeholders.hpp"
#include "harness/catalogue/yaml.hpp"
#include "protocol/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace harness::check {
namespace {

constexpr std::string_view socket_place = "socket";
constexpr std::string_view encoded_place = "socket-encoded";
constexpr std::string_view port_place = "port";
constexpr std::string_view host_place = "host";
constexpr std::string_view ipv6_host = "[::1]";

/// An address of the loopback network that nobody else is likely to have chosen.
std::string own_host() {
    static std::atomic<unsigned> count{0};
    constexpr unsigned numbers = 250;
    const unsigned number = count++;
    return fmt::format("127.{}.{}.{}", 1 + static_cast<unsigned>(::getpid()) % numbers,
                       number / numbers % numbers, 2 + number % numbers);
}

Listener listen_at(const TcpAddress& address) {
    try {
        return listen_tcp(address);
    } catch (const std::system_error& error) {
        if (error.code().value() == EADDRINUSE || error.code().value() == EADDRNOTAVAIL ||
            error.code().value() == EAFNOSUPPORT) {
            throw CannotListen(
                fmt::format("this machine cannot listen at {}: {}", describe(address), error.what()));
        }
        throw;
    }
}

} // namespace

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-._~/=,").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

ClientUri::ClientUri(std::string text)
  : text_(std::move(text)) {
    const std::vector<std::string> known{std::string(socket_place), std::string(encoded_place),
                                         std::string(port_place), std::string(host_place)};
    for (const std::string& place : placeholders_in(text_)) {
        if (std::ranges::find(known, place) == known.end()) {
            throw std::invalid_argument(
                fmt::format("there is no place {{{}}}{}", place, did_you_mean(place, known)));
        }
    }
    const bool unix_socket = has(socket_place) || has(encoded_place);
    if (unix_socket == (has(port_place) || has(host_place)) || (has(port_place) && has(host_place))) {
        throw std::invalid_argument(
            "a URI leads to one server: it has {socket} or {socket-encoded}, or {port}, or {host}");
    }
}

bool ClientUri::has(std::string_view place) const {
    return text_.find(fmt::format("{{{}}}", place)) != std::string::npos;
}

bool ClientUri::tcp() const {
    return has(port_place) || has(host_place);
}

Listener ClientUri::listen(const std::filesystem::path& path) const {
    if (!tcp()) {
        return listen_unix(path);
    }
    if (has(host_place)) {
        return listen_at({nbd::default_port, own_host()});
    }
    return text_.find(ipv6_host) == std::string::npos ? listen_tcp() : listen_at({0, "::1"});
}

std::string ClientUri::at(const Address& address) const {
    Placeholders values;
    if (const auto* const local = std::get_if<UnixAddress>(&address)) {
        std::string all;
        for (const char c : local->path.native()) {
            all += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        }
        values.texts = {{std::string(socket_place), escaped(local->path.native())},
                        {std::string(encoded_place), all}};
    } else {
        const auto& tcp = std::get<TcpAddress>(address);
        values.texts = {{std::string(port_place), std::to_string(tcp.port)},
                        {std::string(host_place), tcp.host}};
    }
    return expand(std::string_view(text_), values);
}

std::string plain_uri(const Address& address, std::string_view export_name) {
    if (const auto* const local = std::get_if<UnixAddress>(&address)) {
        return fmt::format("nbd+unix:///{}?socket={}", escaped(export_name), escaped(local->path.native()));
    }
    const auto& tcp = std::get<TcpAddress>(address);
    return fmt::format("nbd://{}:{}/{}", tcp.host, tcp.port, escaped(export_name));
}

} // namespace harness::check
