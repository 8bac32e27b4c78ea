#include "reference-server/net/listener.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

namespace refserver {
namespace {

constexpr int first_passed = 3;

[[noreturn]] void fail(int number, const std::string& what) {
    throw std::system_error(number, std::system_category(), what);
}

Descriptor open_socket(int family) {
    Descriptor made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made.valid()) {
        fail(errno, "cannot make a socket");
    }
    return made;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

/// True if nobody listens on a socket that exists.
bool is_left_behind(const sockaddr_un& address) {
    const Descriptor probe = open_socket(AF_UNIX);
    return ::connect(probe.get(), generic(address), sizeof address) != 0 && errno == ECONNREFUSED;
}

std::uint16_t bound_port(int socket) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        fail(errno, "getsockname");
    }
    return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                               : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string tcp_uri(const sockaddr* address, socklen_t size, std::uint16_t port) {
    std::array<char, NI_MAXHOST> host{};
    ::getnameinfo(address, size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
    return address->sa_family == AF_INET6 ? fmt::format("nbd://[{}]:{}/", host.data(), port)
                                          : fmt::format("nbd://{}:{}/", host.data(), port);
}

Listener listen_on(const addrinfo& info, std::uint16_t port) {
    sockaddr_storage address{};
    std::memcpy(&address, info.ai_addr, info.ai_addrlen);
    if (info.ai_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6&>(address).sin6_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in&>(address).sin_port = htons(port);
    }
    Descriptor socket = open_socket(info.ai_family);
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info.ai_family == AF_INET6) {
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    const auto* generic_address = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(socket.get(), generic_address, info.ai_addrlen) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0) {
        const int number = errno;
        fail(number, fmt::format("cannot listen on {}", tcp_uri(generic_address, info.ai_addrlen, port)));
    }
    std::string uri = tcp_uri(generic_address, info.ai_addrlen, bound_port(socket.get()));
    return {std::move(socket), std::move(uri), {}};
}

std::optional<long> number_in_environment(const char* name) {
    const char* text = std::getenv(name);
    if (text == nullptr) {
        return std::nullopt;
    }
    long value = 0;
    const std::string_view view(text);
    const auto [end, error] = std::from_chars(view.begin(), view.end(), value);
    return error == std::errc{} && end == view.end() ? std::optional(value) : std::nullopt;
}

} // namespace

Listener listen_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        fail(ENAMETOOLONG, fmt::format("the path of a Unix socket has 1 to {} bytes, not {}: {}",
                                       sizeof address.sun_path - 1, path.size(), path));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    Descriptor socket = open_socket(AF_UNIX);
    int outcome = ::bind(socket.get(), generic(address), sizeof address);
    if (outcome != 0 && errno == EADDRINUSE && is_left_behind(address)) {
        ::unlink(path.c_str());
        outcome = ::bind(socket.get(), generic(address), sizeof address);
    }
    if (outcome != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
        fail(errno, fmt::format("cannot listen on {}", path));
    }
    return {std::move(socket), fmt::format("nbd+unix:///?socket={}", path), path};
}

std::vector<Listener> listen_tcp(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    // The loopback addresses need no resolver: a small container may have no /etc/hosts (RFC 6761, 6.3).
    const bool loopback = host == "localhost";
    hints.ai_flags = loopback ? 0 : AI_PASSIVE;
    addrinfo* found = nullptr;
    const char* const node = loopback || host.empty() ? nullptr : host.c_str();
    const int outcome = ::getaddrinfo(node, "0", &hints, &found);
    if (outcome != 0) {
        fail(EADDRNOTAVAIL, fmt::format("cannot resolve {}: {}", host, ::gai_strerror(outcome)));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    std::vector<Listener> listeners;
    std::optional<std::system_error> first_error;
    for (const addrinfo* info = addresses.get(); info != nullptr; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6) {
            continue;
        }
        try {
            listeners.push_back(listen_on(*info, port));
            // All addresses share the port that the first one got.
            port = bound_port(listeners.front().socket.get());
        } catch (const std::system_error& error) {
            // A host without IPv6 still resolves "localhost" to ::1.
            if (!first_error || error.code().value() != EADDRNOTAVAIL) {
                first_error = error;
            }
        }
    }
    const bool missing_family = first_error && (first_error->code().value() == EADDRNOTAVAIL ||
                                                first_error->code().value() == EAFNOSUPPORT);
    if (listeners.empty() || (first_error && !missing_family)) {
        throw first_error.value_or(std::system_error(EADDRNOTAVAIL, std::system_category(), host));
    }
    return listeners;
}

std::vector<Listener> activated_sockets() {
    const auto process = number_in_environment("LISTEN_PID");
    const auto count = number_in_environment("LISTEN_FDS");
    std::vector<Listener> listeners;
    if (!process || !count || *process != ::getpid()) {
        return listeners;
    }
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
        ::unsetenv(name);
    }
    for (int number = first_passed; number < first_passed + *count; ++number) {
        int listening = 0;
        socklen_t size = sizeof listening;
        if (::getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
            fail(EINVAL,
                 fmt::format("file descriptor {}, passed by socket activation, is not a listening socket",
                             number));
        }
        ::fcntl(number, F_SETFD, FD_CLOEXEC);
        ::fcntl(number, F_SETFL, ::fcntl(number, F_GETFL) | O_NONBLOCK);
        listeners.push_back({Descriptor(number), {}, {}});
    }
    return listeners;
}

} // namespace refserver
