// fake-server MANNER: a server of bad manners, on the listening socket that it is given as descriptor 3.
//
//   hang      takes connections and never says a word
//   crash     takes a connection and dies of SIGSEGV
//   leave     takes a connection, says "enough" to its log, and exits with 7
//
// and some that speak NBD so far that they greet and refuse every option:
//
//   die-on-list  dies of SIGSEGV when a client asks for the list of exports with data
//   endless      answers the list of exports with exports for ever
//   babble       sends zeroes for ever once it has been sent an option
//   drip         greets, and sends a byte of its answers each second

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t list_option = 3;
constexpr std::uint32_t server_reply = 2;
constexpr std::uint32_t unsupported = 0x80000001;

void number(Bytes& out, std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) {
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

bool receive(int socket, void* into, std::size_t size) {
    return size == 0 || recv(socket, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool send_all(int socket, const Bytes& bytes) {
    return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

Bytes reply(std::uint32_t option, std::uint32_t type, const Bytes& data) {
    Bytes out;
    number(out, 0x3e889045565a9, 8);
    number(out, option, 4);
    number(out, type, 4);
    number(out, data.size(), 4);
    out.insert(out.end(), data.begin(), data.end());
    return out;
}

void answer(int socket, std::uint32_t option, std::uint32_t length, std::string_view manner) {
    if (manner == "die-on-list" && option == list_option && length > 0) {
        std::signal(SIGSEGV, SIG_DFL); // a sanitizer's handler would exit instead
        std::raise(SIGSEGV);
    }
    if (manner == "endless" && option == list_option) {
        while (send_all(socket, reply(option, server_reply, {0, 0, 0, 1, 'a'}))) {
        }
    }
    if (manner == "babble") {
        while (send_all(socket, Bytes(65536))) {
        }
    }
    const Bytes refusal = reply(option, unsupported, {});
    if (manner != "drip") {
        send_all(socket, refusal);
        return;
    }
    for (const std::uint8_t byte : refusal) {
        if (!send_all(socket, {byte})) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
}

void speak(int socket, std::string_view manner) {
    Bytes greeting;
    number(greeting, 0x4e42444d41474943, 8);
    number(greeting, 0x49484156454f5054, 8);
    number(greeting, 1, 2);
    std::array<std::uint8_t, 16> header{};
    if (!send_all(socket, greeting) || !receive(socket, header.data(), 4)) {
        return;
    }
    while (receive(socket, header.data(), header.size())) {
        const auto word = [&](std::size_t at) {
            return static_cast<std::uint32_t>(header[at] << 24 | header[at + 1] << 16 | header[at + 2] << 8 |
                                              header[at + 3]);
        };
        Bytes data(word(12) & 0xffffU);
        if (!receive(socket, data.data(), data.size())) {
            return;
        }
        answer(socket, word(8), word(12), manner);
    }
}

} // namespace

int main(int argc, char** argv) {
    constexpr int listening = 3;
    const std::string_view manner = argc > 1 ? argv[1] : "";
    for (int socket = accept(listening, nullptr, nullptr); socket >= 0;
         socket = accept(listening, nullptr, nullptr)) {
        if (manner == "crash") {
            std::signal(SIGSEGV, SIG_DFL);
            std::raise(SIGSEGV);
        }
        if (manner == "leave") {
            std::fputs("enough\n", stderr);
            return 7;
        }
        if (manner != "hang") {
            std::thread([socket, manner] {
                speak(socket, manner);
                close(socket);
            }).detach();
        }
    }
    std::perror("fake-server: accept");
    return 1;
}
