#include "drivers/life/control.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace driver {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

/// The size that an answer tells.
std::uint64_t size_in(const std::string& answer) {
    std::uint64_t bytes = 0;
    const char* const end = answer.data() + answer.size();
    const auto parsed = std::from_chars(answer.data(), end, bytes);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
        throw std::runtime_error(fmt::format("asking for the size of the storage: {}", answer));
    }
    return bytes;
}

} // namespace

Control::Control(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::invalid_argument(fmt::format("the path of the control socket is too long: {}", path));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
        fail("cannot make a socket");
    }
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int number = errno;
        ::close(socket_);
        throw std::system_error(number, std::system_category(),
                                "cannot connect to the control socket " + path);
    }
}

Control::~Control() {
    ::close(socket_);
}

void Control::send(const std::string& lines) {
    for (std::size_t sent = 0; sent < lines.size();) {
        const ssize_t count = ::send(socket_, lines.data() + sent, lines.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            fail("cannot write to the control socket");
        }
        sent += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
}

std::string Control::receive() {
    std::size_t end = received_.find('\n');
    while (end == std::string::npos) {
        std::array<char, 512> part{};
        const ssize_t count = ::recv(socket_, part.data(), part.size(), 0);
        if (count == 0) {
            throw std::runtime_error("the server closed the control socket");
        }
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            fail("cannot read from the control socket");
        }
        received_.append(part.data(), static_cast<std::size_t>(count));
        end = received_.find('\n');
    }
    std::string answer = received_.substr(0, end);
    received_.erase(0, end + 1);
    return answer;
}

std::uint64_t Control::resize(std::string_view export_name, std::uint64_t bytes) {
    send(fmt::format("resize {} {}\nsize {}\n", export_name, bytes, export_name));
    const std::string answer = receive();
    const std::string size = receive();
    if (answer != "ok") {
        throw std::runtime_error(fmt::format("resizing the storage to {} bytes: {}", bytes, answer));
    }
    return size_in(size);
}

std::uint64_t Control::size(std::string_view export_name) {
    send(fmt::format("size {}\n", export_name));
    return size_in(receive());
}

} // namespace driver
