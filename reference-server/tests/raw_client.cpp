#include "reference-server/tests/raw_client.hpp"

#include "protocol/handshake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace refserver {
namespace {

constexpr int patience_seconds = 60;
/// A socket that takes nothing for this long is blocked.
constexpr int blocked_milliseconds = 500;

int connected(const sockaddr* address, socklen_t size) {
    const int made = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{patience_seconds, 0};
    ::setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (made < 0 || ::connect(made, address, size) != 0) {
        const int number = errno;
        ::close(made);
        throw std::system_error(number, std::system_category(), "connect");
    }
    return made;
}

} // namespace

RawClient::RawClient(const std::string& unix_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(unix_path.begin(), unix_path.end(), address.sun_path);
    socket_ = connected(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

RawClient::RawClient(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket_ = connected(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

RawClient::~RawClient() {
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

void RawClient::send(const nbd::Buffer& bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t part = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (part < 0) {
            throw std::system_error(errno, std::system_category(), "send");
        }
        sent += static_cast<std::size_t>(part);
    }
}

std::size_t RawClient::send_until_blocked(const nbd::Buffer& bytes) const {
    std::size_t sent = 0;
    pollfd waiting{socket_, POLLOUT, 0};
    while (sent < bytes.size() && ::poll(&waiting, 1, blocked_milliseconds) == 1) {
        const ssize_t part =
            ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (part < 0 && errno != EAGAIN) {
            throw std::system_error(errno, std::system_category(), "send");
        }
        sent += part < 0 ? 0 : static_cast<std::size_t>(part);
    }
    return sent;
}

nbd::Buffer RawClient::receive(std::size_t size) const {
    nbd::Buffer bytes(size);
    std::size_t got = 0;
    while (got < size) {
        const ssize_t part = ::recv(socket_, bytes.data() + got, size - got, 0);
        if (part < 0) {
            throw std::system_error(errno, std::system_category(), "recv");
        }
        if (part == 0) {
            break;
        }
        got += static_cast<std::size_t>(part);
    }
    bytes.resize(got);
    return bytes;
}

nbd::Buffer RawClient::receive_all() const {
    nbd::Buffer all;
    for (;;) {
        constexpr std::size_t piece = 65536;
        const nbd::Buffer part = receive(piece);
        all.insert(all.end(), part.begin(), part.end());
        if (part.size() < piece) {
            return all;
        }
    }
}

void RawClient::half_close() const {
    ::shutdown(socket_, SHUT_WR);
}

void RawClient::reset() {
    const linger at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(socket_);
    socket_ = -1;
}

std::uint64_t RawClient::enter_transmission(const std::string& name) const {
    EXPECT_EQ(receive(nbd::wire_size<nbd::NewstyleGreeting>).size(), nbd::wire_size<nbd::NewstyleGreeting>);
    nbd::Buffer out =
        nbd::encode(nbd::ClientFlags{nbd::client_flag::fixed_newstyle | nbd::client_flag::no_zeroes});
    nbd::encode_to(out,
                   nbd::OptionRequest{nbd::Option::export_name, static_cast<std::uint32_t>(name.size())});
    out.insert(out.end(), name.begin(), name.end());
    send(out);
    const auto reply = nbd::decode<nbd::ExportNameReply>(receive(nbd::wire_size<nbd::ExportNameReply>));
    return reply.value().size;
}

} // namespace refserver
