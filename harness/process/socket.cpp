#include "harness/process/socket.hpp"

#include "harness/process/interrupt.hpp"
#include "harness/process/process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

namespace harness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

[[noreturn]] void throw_errno(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// An address in the kernel's form.
struct RawAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

RawAddress raw(const Address& address) {
    RawAddress result;
    if (const auto* local = std::get_if<UnixAddress>(&address)) {
        const std::string& path = local->path.native();
        sockaddr_un name{};
        if (path.empty() || path.size() > longest_socket_path)
            throw std::system_error(ENAMETOOLONG, std::generic_category(),
                                    fmt::format("a Unix socket's path has 1 to {} bytes, not {}: '{}'",
                                                longest_socket_path, path.size(), path));
        name.sun_family = AF_UNIX;
        std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
        std::memcpy(&result.storage, &name, sizeof name);
        result.length = sizeof name;
    } else {
        const auto& tcp = std::get<TcpAddress>(address);
        sockaddr_in name{};
        sockaddr_in6 name6{};
        if (::inet_pton(AF_INET, tcp.host.c_str(), &name.sin_addr) == 1) {
            name.sin_family = AF_INET;
            name.sin_port = htons(tcp.port);
            std::memcpy(&result.storage, &name, sizeof name);
            result.length = sizeof name;
        } else if (::inet_pton(AF_INET6, tcp.host.c_str(), &name6.sin6_addr) == 1) {
            name6.sin6_family = AF_INET6;
            name6.sin6_port = htons(tcp.port);
            std::memcpy(&result.storage, &name6, sizeof name6);
            result.length = sizeof name6;
        } else {
            throw std::system_error(EINVAL, std::generic_category(),
                                    fmt::format("'{}' is no address", tcp.host));
        }
    }
    return result;
}

UniqueFd make_socket(const RawAddress& address, int extra_flags = 0) {
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | extra_flags, 0));
    if (!fd.valid())
        throw_errno("cannot make a socket");
    return fd;
}

UniqueFd bind_socket(const Address& address) {
    RawAddress name = raw(address);
    UniqueFd fd = make_socket(name);
    const int on = 1;
    if (std::holds_alternative<TcpAddress>(address))
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), name.get(), name.length) != 0)
        throw_errno(fmt::format("cannot bind {}", describe(address)));
    return fd;
}

void start_listening(const UniqueFd& fd, const Address& address) {
    constexpr int backlog = 128;
    if (::listen(fd.get(), backlog) != 0)
        throw_errno(fmt::format("cannot listen on {}", describe(address)));
}

std::uint16_t bound_port(const UniqueFd& fd) {
    RawAddress name;
    name.length = sizeof name.storage;
    if (::getsockname(fd.get(), name.get(), &name.length) != 0)
        throw_errno("cannot learn a socket's port");
    sockaddr_in6 name6{};
    sockaddr_in name4{};
    std::memcpy(&name6, &name.storage, sizeof name6);
    std::memcpy(&name4, &name.storage, sizeof name4);
    return ntohs(name.storage.ss_family == AF_INET6 ? name6.sin6_port : name4.sin_port);
}

bool connects(const Address& address) {
    RawAddress name = raw(address);
    // Not waiting: a Unix server whose backlog is full counts as one that accepts.
    const UniqueFd fd = make_socket(name, SOCK_NONBLOCK);
    if (::connect(fd.get(), name.get(), name.length) == 0 || errno == EAGAIN)
        return true;
    if (errno != EINPROGRESS)
        return false;
    // On the loopback interface the answer is there at once, unless a firewall swallows it.
    pollfd watched{fd.get(), POLLOUT, 0};
    if (!interrupt::poll_until({&watched, 1}, Clock::now() + 20ms))
        return false;
    int error = 0;
    socklen_t length = sizeof error;
    return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

// /proc/net/unix: "Num RefCount Protocol Flags Type St Inode Path", numbers in hexadecimal.
bool unix_listening(const std::string& path) {
    constexpr unsigned accepting_flag = 0x10000;
    std::ifstream table("/proc/net/unix");
    for (std::string line; std::getline(table, line);) {
        // First the cheap test: the table is long on a busy machine.
        if (!line.ends_with(path) || line.size() == path.size() || line[line.size() - path.size() - 1] != ' ')
            continue;
        std::istringstream fields(line);
        std::string number, references, protocol;
        unsigned flags = 0;
        if (fields >> number >> references >> protocol >> std::hex >> flags && (flags & accepting_flag) != 0)
            return true;
    }
    return false;
}

// /proc/net/tcp and tcp6: "sl local_address rem_address st …", the port after the colon in hexadecimal.
bool tcp_listening(std::uint16_t port) {
    constexpr unsigned listening_state = 0x0A;
    for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream table(file);
        std::string line;
        std::getline(table, line);
        while (std::getline(table, line)) {
            std::istringstream fields(line);
            std::string slot, local, remote;
            unsigned state = 0;
            if (!(fields >> slot >> local >> remote >> std::hex >> state) || state != listening_state)
                continue;
            if (local.ends_with(fmt::format(":{:04X}", port)))
                return true;
        }
    }
    return false;
}

} // namespace

std::string describe(const Address& address) {
    if (const auto* local = std::get_if<UnixAddress>(&address))
        return "unix:" + local->path.string();
    const auto& tcp = std::get<TcpAddress>(address);
    return tcp.host.find(':') == std::string::npos ? fmt::format("{}:{}", tcp.host, tcp.port)
                                                   : fmt::format("[{}]:{}", tcp.host, tcp.port);
}

Listener listen_unix(const std::filesystem::path& path) {
    const Address address = UnixAddress{path};
    UniqueFd fd = bind_socket(address);
    start_listening(fd, address);
    return {std::move(fd), address};
}

Listener listen_tcp(const TcpAddress& at) {
    UniqueFd fd = bind_socket(at);
    const Address address = TcpAddress{bound_port(fd), at.host};
    start_listening(fd, address);
    return {std::move(fd), address};
}

ReservedPort::ReservedPort()
  : socket_(bind_socket(TcpAddress{0}))
  , number_(bound_port(socket_)) {}

bool accepts(const Address& address, Probe probe) {
    if (probe == Probe::connect)
        return connects(address);
    if (const auto* local = std::get_if<UnixAddress>(&address))
        return unix_listening(local->path.string());
    return tcp_listening(std::get<TcpAddress>(address).port);
}

Readiness wait_until_accepting(const Address& address, Clock::time_point deadline, Process* server,
                               Probe probe) {
    constexpr Clock::duration longest_pause = 20ms;
    for (Clock::duration pause = 1ms;; pause = std::min(pause * 2, longest_pause)) {
        // In this order: a server that detached itself, its first process having ended, does accept.
        const bool running = !server || server->running();
        if (accepts(address, probe))
            return Readiness::ready;
        if (!running)
            return Readiness::exited;
        const auto now = Clock::now();
        if (now >= deadline)
            return Readiness::timed_out;
        pollfd watched{server ? server->exit_descriptor() : -1, POLLIN, 0};
        interrupt::poll_until({&watched, 1}, std::min(now + pause, deadline));
    }
}

} // namespace harness
