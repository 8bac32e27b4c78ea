#include "reference-server/gateway/qmp.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace refserver {
namespace {

namespace json = boost::json;

constexpr int slice = 50; ///< milliseconds
/// An answer that is longer than this is none of QEMU's.
constexpr std::size_t longest_message = std::size_t{16} << 20;

/// Of all connections of this process.
std::atomic<unsigned> last_id{0};

bool is_answer(const json::object& message) {
    return message.contains("return") || message.contains("error");
}

} // namespace

Qmp::Qmp(const std::string& path, Patience patience)
  : path_(path)
  , patience_(std::move(patience))
  , socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw QmpError(fmt::format("the path {} is too long for a Unix socket", path));
    }
    std::memcpy(static_cast<char*>(address.sun_path), path.data(), path.size());
    if (!socket_.valid() ||
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw QmpError(fmt::format("no connection to the monitor at {}: {}", path,
                                   std::system_category().message(errno)));
    }
    json::object greeting = read_message();
    while (is_answer(greeting)) {
        greeting = read_message();
    }
    if (!greeting.contains("QMP")) {
        throw QmpError(fmt::format("{} does not greet as a QEMU monitor does", path));
    }
    execute("qmp_capabilities");
}

json::value Qmp::execute(std::string_view command, json::object arguments) {
    // QEMU gives the answer to a command to whoever is connected by then, even if he who sent it has died.
    const std::string id = fmt::format("nbd-resize-{}-{}", ::getpid(), ++last_id);
    json::object message{{"execute", command}, {"id", id}};
    if (!arguments.empty()) {
        message["arguments"] = std::move(arguments);
    }
    send(json::serialize(message) + "\n");
    for (;;) {
        json::object answer = read_message();
        const json::value* whose = answer.if_contains("id");
        if (whose == nullptr || *whose != json::value(id)) {
            continue;
        }
        if (json::value* result = answer.if_contains("return")) {
            return std::move(*result);
        }
        if (const json::value* error = answer.if_contains("error")) {
            const json::object* details = error->if_object();
            const json::value* text = details != nullptr ? details->if_contains("desc") : nullptr;
            throw QmpRefusal(fmt::format("{}: {}", command,
                                         text != nullptr && text->is_string() ? std::string(text->as_string())
                                                                              : json::serialize(*error)));
        }
    }
}

json::object Qmp::read_message() {
    for (;;) {
        if (const auto end = input_.find('\n'); end != std::string::npos) {
            boost::system::error_code wrong;
            json::value message = json::parse(std::string_view(input_).substr(0, end), wrong);
            input_.erase(0, end + 1);
            if (wrong || !message.is_object()) {
                throw QmpError(fmt::format("the monitor at {} sent no JSON object", path_));
            }
            return std::move(message.as_object());
        }
        if (input_.size() > longest_message) {
            throw QmpError(fmt::format("the monitor at {} sends an endless line", path_));
        }
        std::array<char, 65536> part;
        const ssize_t got = ::recv(socket_.get(), part.data(), part.size(), 0);
        if (got > 0) {
            input_.append(part.data(), static_cast<std::size_t>(got));
        } else if (got < 0 && errno == EAGAIN) {
            wait_for(POLLIN);
        } else if (got == 0 || errno != EINTR) {
            throw QmpError(fmt::format("the monitor at {} closed the connection", path_));
        }
    }
}

void Qmp::send(const std::string& text) const {
    std::size_t sent = 0;
    while (sent < text.size()) {
        const ssize_t put = ::send(socket_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (put >= 0) {
            sent += static_cast<std::size_t>(put);
        } else if (errno == EAGAIN) {
            wait_for(POLLOUT);
        } else if (errno != EINTR) {
            throw QmpError(fmt::format("the monitor at {} closed the connection", path_));
        }
    }
}

void Qmp::wait_for(short events) const {
    for (;;) {
        if (!patience_.go_on()) {
            throw QmpError("this server is being shut down");
        }
        if (std::chrono::steady_clock::now() >= patience_.deadline) {
            throw QmpError(
                fmt::format("the monitor at {} does not answer in time; it talks to one client at a "
                            "time: is somebody else connected?",
                            path_));
        }
        pollfd waiting{socket_.get(), events, 0};
        if (::poll(&waiting, 1, slice) > 0) {
            return;
        }
    }
}

} // namespace refserver
