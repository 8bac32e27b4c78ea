#include "reference-client/tests/support/servers.hpp"

#include "protocol/handshake.hpp"
#include "reference-client/tests/support/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace refclient::testing {
namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

bool accepts(const std::string& path) {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(path);
    const bool connected =
        ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    ::close(descriptor);
    return connected;
}

std::vector<std::string> nbdkit(const std::string& socket, const std::string& image,
                                std::vector<std::string> more = {}) {
    std::vector<std::string> command = {"nbdkit", "--foreground", "--exit-with-parent", "-U", socket};
    command.insert(command.end(), more.begin(), more.end());
    command.insert(command.end(), {"file", image});
    return command;
}

std::vector<ServerKind> make_kinds() {
    using Folder = TemporaryFolder;
    using Text = std::string;
    std::vector<ServerKind> kinds;
    kinds.emplace_back("nbdkit", "nbdkit", "", [](const Folder&, const Text& image, const Text& socket) {
        return nbdkit(socket, image);
    });
    kinds.emplace_back("nbdkit_simple", "nbdkit", "",
                       [](const Folder&, const Text& image, const Text& socket) {
                           return nbdkit(socket, image, {"--no-sr"});
                       });
    kinds.emplace_back("nbdkit_oldstyle", "nbdkit", "",
                       [](const Folder&, const Text& image, const Text& socket) {
                           return nbdkit(socket, image, {"--oldstyle"});
                       });
    kinds.emplace_back("qemu_nbd", "qemu-nbd", "disk",
                       [](const Folder&, const Text& image, const Text& socket) {
                           return std::vector<std::string>{"qemu-nbd",
                                                           "-k",
                                                           socket,
                                                           "-f",
                                                           "raw",
                                                           "-x",
                                                           "disk",
                                                           "-t",
                                                           "-e",
                                                           "8",
                                                           "--discard=unmap",
                                                           "--detect-zeroes=off",
                                                           image};
                       });
    kinds.emplace_back(
        "nbd_server", "nbd-server", "disk", [](const Folder& folder, const Text& image, const Text& socket) {
            const std::string config = folder.file("config");
            std::ofstream(config) << "[generic]\nunixsock = " << socket
                                  << "\nallowlist = true\n[disk]\nexportname = " << image
                                  << "\nflush = true\nfua = true\ntrim = true\n";
            return std::vector<std::string>{"nbd-server", "-C", config, "-p", folder.file("pid")};
        });
    kinds.emplace_back(
        "reference_server", NBD_BIN_DIR "/nbd-resize-server", "",
        [](const Folder&, const Text& image, const Text& socket) {
            return std::vector<std::string>{NBD_BIN_DIR "/nbd-resize-server", "-U", socket, image};
        });
    return kinds;
}

} // namespace

RunningServer ServerKind::start(const std::string& image) const {
    auto folder = std::make_unique<TemporaryFolder>();
    const std::string socket = folder->file("socket");
    std::vector<std::string> command = command_(*folder, image, socket);
    command.front() = find_program(command.front());
    Process process(command);
    // nbd-server always goes into the background, and tells where.
    if (const std::string pid_file = folder->file("pid"); command.back() == pid_file) {
        pid_t pid = 0;
        if (!eventually([&] { return std::ifstream(pid_file) >> pid && pid > 0; })) {
            throw std::runtime_error(fmt::format("{} does not start", name_));
        }
        process = Process::daemon(pid);
    }
    if (!eventually([&] { return accepts(socket) || !process.running(); }) || !process.running()) {
        throw std::runtime_error(fmt::format("{} does not start", name_));
    }
    std::string uri = fmt::format("nbd+unix:///{}?socket={}", export_name_, socket);
    return {std::move(folder), std::move(process), std::move(uri)};
}

const std::vector<ServerKind>& server_kinds() {
    static const std::vector<ServerKind> kinds = make_kinds();
    return kinds;
}

const ServerKind& server_kind(std::string_view name) {
    for (const ServerKind& kind : server_kinds()) {
        if (kind.name() == name) {
            return kind;
        }
    }
    throw std::invalid_argument(std::string(name));
}

void ScriptedServer::Peer::send(nbd::Bytes bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) {
            return;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
}

nbd::Buffer ScriptedServer::Peer::receive(std::size_t count) const {
    nbd::Buffer bytes(count);
    std::size_t there = 0;
    while (there < count) {
        const ssize_t part = ::recv(descriptor_, bytes.data() + there, count - there, 0);
        if (part <= 0) {
            break;
        }
        there += static_cast<std::size_t>(part);
    }
    bytes.resize(there);
    return bytes;
}

nbd::Buffer ScriptedServer::Peer::receive_all() const {
    nbd::Buffer all;
    for (;;) {
        const nbd::Buffer part = receive(1);
        if (part.empty()) {
            return all;
        }
        all.push_back(part.front());
    }
}

void ScriptedServer::Peer::shake_hands(std::uint64_t size, std::uint16_t flags) const {
    send(hex("4e42444d41474943 49484156454f5054 0003"));
    // Client flags; NBD_OPT_GO for the empty name with any number of information requests.
    const nbd::Buffer option = receive(4 + 16);
    static_cast<void>(receive(option.empty() ? 0 : option.back()));
    send(hex(fmt::format("0003e889045565a9 00000007 00000003 0000000c 0000 {:016x} {:04x}", size, flags)));
    send(hex("0003e889045565a9 00000007 00000001 00000000"));
}

void ScriptedServer::Peer::shake_hands(const Offer& offer) const {
    send(hex("4e42444d41474943 49484156454f5054 0003"));
    static_cast<void>(receive(4));
    for (;;) {
        const nbd::Buffer header = receive(16);
        if (header.size() < 16) {
            return;
        }
        const unsigned option = header[11];
        static_cast<void>(receive(static_cast<std::size_t>(header[14]) * 256 + header[15]));
        const auto reply = [&](std::string_view type, std::string_view payload) {
            const nbd::Buffer bytes = hex(payload);
            send(hex(fmt::format("0003e889045565a9 {:08x} {} {:08x}", option, type, bytes.size())));
            send(bytes);
        };
        constexpr unsigned info = 6;
        constexpr unsigned go = 7;
        constexpr unsigned structured_reply = 8;
        if (option != info && option != go) {
            reply(option == structured_reply && offer.structured ? "00000001" : "80000001", "");
            continue;
        }
        if (!offer.block.empty()) {
            reply("00000003", "0003" + offer.block);
        }
        const std::string& resize = option == info ? offer.resize_before : offer.resize;
        if (!resize.empty()) {
            reply("00000003", "0004" + resize);
        }
        reply("00000003", fmt::format("0000 {:016x} {:04x}", offer.size, offer.flags));
        reply("00000001", "");
        if (option == go) {
            return;
        }
    }
}

ScriptedServer::ScriptedServer(std::function<void(const Peer&)> script) {
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(folder_.file("socket"));
    if (::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listening_, 1) != 0) {
        throw std::system_error(errno, std::generic_category(), "listen");
    }
    thread_ = std::thread([this, script = std::move(script)] {
        const int connected = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connected >= 0) {
            script(Peer(connected));
            ::close(connected);
        }
    });
}

ScriptedServer::~ScriptedServer() {
    join();
    ::close(listening_);
}

void ScriptedServer::join() {
    if (thread_.joinable()) {
        // Wakes a thread that nobody connected to.
        ::shutdown(listening_, SHUT_RDWR);
        thread_.join();
    }
}

nbd::Uri ScriptedServer::uri() const {
    nbd::Uri uri;
    uri.transport = nbd::Uri::Transport::unix_socket;
    uri.host.clear();
    uri.socket = folder_.file("socket");
    return uri;
}

} // namespace refclient::testing
