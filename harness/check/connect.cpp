#include "harness/check/connect.hpp"

#include "harness/process/interrupt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace harness::check {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// The error of an attempt to connect; 0 if it came to a connection.
int try_connect(const UniqueFd& socket, const sockaddr* address, socklen_t length,
                Clock::time_point deadline) {
    if (::connect(socket.get(), address, length) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    pollfd watched{socket.get(), POLLOUT, 0};
    if (!interrupt::poll_until({&watched, 1}, deadline)) {
        return ETIMEDOUT;
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

Connected failed(const nbd::Uri& uri, const std::string& why) {
    return {UniqueFd(), fmt::format("{}: {}", server_text(uri), why)};
}

Connected connect_unix(const nbd::Uri& uri, Clock::time_point deadline) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (uri.socket.size() >= sizeof name.sun_path) {
        return failed(uri, "the path of a Unix socket has at most 107 bytes");
    }
    std::memcpy(name.sun_path, uri.socket.data(), uri.socket.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + uri.socket.size() +
                                               (uri.socket.front() == '\0' ? 0 : 1));
    for (;;) {
        UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const int error = try_connect(socket, reinterpret_cast<const sockaddr*>(&name), length, deadline);
        if (error == 0) {
            return {std::move(socket), {}};
        }
        // The backlog is full: nobody wakes those who wait for room in it.
        if (error != EAGAIN || Clock::now() >= deadline) {
            return failed(uri, error_text(error));
        }
        interrupt::poll_until({}, std::min(Clock::now() + 2ms, deadline));
    }
}

Connected connect_tcp(const nbd::Uri& uri, Clock::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const std::string port = std::to_string(uri.port);
    if (const int error = ::getaddrinfo(uri.host.c_str(), port.c_str(), &hints, &list); error != 0) {
        return failed(uri, ::gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(list, &::freeaddrinfo);
    int error = EHOSTUNREACH;
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
        UniqueFd socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket.valid()) {
            error = errno;
            continue;
        }
        error = try_connect(socket, at->ai_addr, at->ai_addrlen, deadline);
        if (error == 0) {
            // What a case sends is to leave as it is sent.
            const int on = 1;
            ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return {std::move(socket), {}};
        }
    }
    return failed(uri, error_text(error));
}

} // namespace

std::string server_text(const nbd::Uri& uri) {
    if (uri.transport == nbd::Uri::Transport::unix_socket) {
        return "unix:" + (uri.socket.front() == '\0' ? "@" + uri.socket.substr(1) : uri.socket);
    }
    return fmt::format("{}:{}", uri.host, uri.port);
}

Connected connect_to(const nbd::Uri& uri, Clock::time_point deadline) {
    return uri.transport == nbd::Uri::Transport::unix_socket ? connect_unix(uri, deadline)
                                                             : connect_tcp(uri, deadline);
}

} // namespace harness::check
