#include "reference-client/tests/support/knob_server.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace refclient::testing {
namespace {

/// Sends a line and receives one; nothing if nobody listens.
std::optional<std::string> talk(const std::string& path, const std::string& line) {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    std::optional<std::string> answer;
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        answer.emplace();
        if (!line.empty()) {
            static_cast<void>(::send(descriptor, line.data(), line.size(), MSG_NOSIGNAL));
            char byte = 0;
            while (!answer->ends_with('\n') && ::recv(descriptor, &byte, 1, 0) == 1) {
                answer->push_back(byte);
            }
        }
    }
    ::close(descriptor);
    return answer;
}

} // namespace

KnobServer::KnobServer()
  : process_({NBD_BIN_DIR "/nbd-resize-server", "-U", folder_.file("socket"), "--control",
              folder_.file("control")}) {
    const auto listens = [&] { return talk(folder_.file("socket"), {}).has_value(); };
    if (!eventually([&] { return listens() || !process_.running(); }) || !process_.running()) {
        throw std::runtime_error("nbd-resize-server does not start");
    }
}

nbd::Uri KnobServer::uri(const std::string& knobs) const {
    nbd::Uri uri;
    uri.transport = nbd::Uri::Transport::unix_socket;
    uri.host.clear();
    uri.socket = folder_.file("socket");
    uri.export_name = knobs;
    return uri;
}

bool KnobServer::resize(const std::string& knobs, std::uint64_t size) const {
    return talk(folder_.file("control"), fmt::format("resize {} {}\n", knobs, size)) == "ok\n";
}

std::uint64_t KnobServer::size(const std::string& knobs) const {
    return std::stoull(talk(folder_.file("control"), fmt::format("size {}\n", knobs)).value_or("0"));
}

} // namespace refclient::testing
