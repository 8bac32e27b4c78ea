#include "reference-client/socket.hpp"

#include "protocol/describe.hpp"
#include "reference-client/failure.hpp"

#include <climits>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace refclient {
namespace {

Failure system_failure(int code, std::string_view doing) {
    return {FailureKind::connection, code, fmt::format("{}: {}", doing, std::strerror(code))};
}

/// Connects a new socket; an errno value if it did not work.
int connect_to(Socket& socket, const sockaddr* address, socklen_t size, Clock::time_point deadline) {
    if (::connect(socket.descriptor(), address, size) == 0) {
        return 0;
    }
    // A Unix socket whose backlog is full says EAGAIN and cannot be waited for.
    while (errno == EAGAIN && Clock::now() < deadline) {
        ::poll(nullptr, 0, 5);
        if (::connect(socket.descriptor(), address, size) == 0) {
            return 0;
        }
    }
    if (errno != EINPROGRESS) {
        return errno == EAGAIN ? ETIMEDOUT : errno;
    }
    pollfd waiting{socket.descriptor(), POLLOUT, 0};
    int ready = 0;
    do {
        ready = ::poll(&waiting, 1, poll_timeout(deadline));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        return ETIMEDOUT;
    }
    int result = 0;
    socklen_t result_size = sizeof(result);
    return ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &result, &result_size) == 0 ? result
                                                                                               : errno;
}

Socket open_socket(int family, const std::string& doing) {
    // Connecting must not block, because there is a deadline.
    const int descriptor = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        throw system_failure(errno, doing);
    }
    return Socket(descriptor);
}

/// From now on every call says whether it is to block.
void let_block(const Socket& socket, const std::string& doing) {
    if (::fcntl(socket.descriptor(), F_SETFL, 0) < 0) {
        throw system_failure(errno, doing);
    }
}

Socket connect_unix(const nbd::Uri& uri, Clock::time_point deadline) {
    const std::string doing = fmt::format("cannot connect to {}", address_text(uri));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (uri.socket.size() >= sizeof(address.sun_path)) {
        throw Failure(FailureKind::local, ENAMETOOLONG,
                      fmt::format("{}: the path of a Unix socket has {} bytes at most", doing,
                                  sizeof(address.sun_path) - 1));
    }
    std::memcpy(address.sun_path, uri.socket.data(), uri.socket.size());
    const bool abstract = uri.socket.starts_with('\0');
    const std::size_t size = abstract ? offsetof(sockaddr_un, sun_path) + uri.socket.size() : sizeof(address);
    Socket socket = open_socket(AF_UNIX, doing);
    const int code = connect_to(socket, reinterpret_cast<const sockaddr*>(&address),
                                static_cast<socklen_t>(size), deadline);
    if (code != 0) {
        throw system_failure(code, doing);
    }
    let_block(socket, doing);
    return socket;
}

Socket connect_tcp(const nbd::Uri& uri, Clock::time_point deadline) {
    const std::string doing = fmt::format("cannot connect to {}", address_text(uri));
    // The loopback addresses need no resolver: a small container may have no /etc/hosts (RFC 6761, 6.3).
    const char* const node = uri.host == "localhost" ? nullptr : uri.host.c_str();
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int looked_up = ::getaddrinfo(node, std::to_string(uri.port).c_str(), &hints, &found);
    if (looked_up != 0) {
        throw Failure(FailureKind::connection, looked_up == EAI_SYSTEM ? errno : EHOSTUNREACH,
                      fmt::format("{}: {}", doing, ::gai_strerror(looked_up)));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    int code = EHOSTUNREACH;
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
        Socket socket = open_socket(address->ai_family, doing);
        code = connect_to(socket, address->ai_addr, address->ai_addrlen, deadline);
        if (code == 0) {
            let_block(socket, doing);
            // The specification wants Nagle's algorithm off; a server is reachable without, so it may fail.
            const int on = 1;
            ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return socket;
        }
    }
    throw system_failure(code, doing);
}

} // namespace

std::string address_text(const nbd::Uri& uri) {
    if (uri.transport == nbd::Uri::Transport::unix_socket) {
        return uri.socket.starts_with('\0') ? nbd::quoted(uri.socket) : uri.socket;
    }
    return uri.host.find(':') == std::string::npos ? fmt::format("{}:{}", uri.host, uri.port)
                                                   : fmt::format("[{}]:{}", uri.host, uri.port);
}

int poll_timeout(Clock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
}

Socket Socket::connect(const nbd::Uri& uri, Clock::time_point deadline) {
    return uri.transport == nbd::Uri::Transport::unix_socket ? connect_unix(uri, deadline)
                                                             : connect_tcp(uri, deadline);
}

Socket::Socket(int descriptor)
  : descriptor_(descriptor) {}

Socket::Socket(Socket&& other) noexcept
  : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    if (this != &other) {
        close();
        descriptor_ = std::exchange(other.descriptor_, -1);
    }
    return *this;
}

Socket::~Socket() {
    close();
}

void Socket::finish_sending() {
    // Fails only if the connection is gone already, which the next receive tells.
    ::shutdown(descriptor_, SHUT_WR);
}

int Socket::release() {
    return std::exchange(descriptor_, -1);
}

void Socket::close() {
    if (descriptor_ >= 0) {
        ::close(std::exchange(descriptor_, -1));
    }
}

void Socket::set_patience(std::chrono::milliseconds patience) {
    // To the system 0 means forever.
    const auto time = std::max<std::chrono::microseconds>(patience, std::chrono::milliseconds(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const timeval value{seconds.count(), (time - seconds).count()};
    if (::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof(value)) != 0) {
        throw system_failure(errno, "cannot use the socket");
    }
}

std::optional<std::size_t> Socket::receive(std::span<iovec> parts) {
    return receive(parts, MSG_DONTWAIT);
}

std::optional<std::size_t> Socket::receive_waiting(std::span<iovec> parts) {
    return receive(parts, 0);
}

std::optional<std::size_t> Socket::receive(std::span<iovec> parts, int flags) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    for (;;) {
        const ssize_t count = ::recvmsg(descriptor_, &message, flags);
        if (count >= 0) {
            return static_cast<std::size_t>(count);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return std::nullopt;
        }
        if (errno != EINTR) {
            throw system_failure(errno, "the connection broke");
        }
    }
}

std::optional<std::size_t> Socket::send(std::span<iovec> parts) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    for (;;) {
        const ssize_t count = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0) {
            return static_cast<std::size_t>(count);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return std::nullopt;
        }
        if (errno != EINTR) {
            throw system_failure(errno, "the connection broke");
        }
    }
}

} // namespace refclient
