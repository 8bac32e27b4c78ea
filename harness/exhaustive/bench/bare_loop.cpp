// The floor under a suite of lives: two processes that do nothing but connect over a Unix socket, make small
// round trips, and close. Usage: bench-bare-loop LOOPS [ROUND TRIPS]. Prints the seconds that all loops took.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// As long as a compact request, and as a simple reply with a few bytes: about what a life sends.
constexpr std::size_t request_length = 28;
constexpr std::size_t reply_length = 16;

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::_Exit(1);
}

bool receive(int socket, std::size_t length) {
    std::array<char, 64> bytes{};
    while (length > 0) {
        const ssize_t got = ::recv(socket, bytes.data(), length, 0);
        if (got <= 0) {
            return false;
        }
        length -= static_cast<std::size_t>(got);
    }
    return true;
}

void send_all(int socket, std::size_t length) {
    const std::array<char, 64> bytes{};
    if (::send(socket, bytes.data(), length, MSG_NOSIGNAL) != static_cast<ssize_t>(length)) {
        give_up("send");
    }
}

[[noreturn]] void serve(int listening) {
    for (;;) {
        const int connection = ::accept(listening, nullptr, nullptr);
        if (connection < 0) {
            give_up("accept");
        }
        while (receive(connection, request_length)) {
            send_all(connection, reply_length);
        }
        ::close(connection);
    }
}

} // namespace

int main(int argc, char** argv) {
    const long loops = argc > 1 ? std::atol(argv[1]) : 0;
    const long round_trips = argc > 2 ? std::atol(argv[2]) : 25;
    if (loops <= 0 || round_trips < 0) {
        std::fputs("Usage: bench-bare-loop LOOPS [ROUND TRIPS]\n", stderr);
        return 2;
    }
    std::string folder = "/tmp/bare-loop.XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) {
        give_up("mkdtemp");
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (folder + "/s").c_str(), sizeof address.sun_path - 1);
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listening, where, sizeof address) != 0 || ::listen(listening, 64) != 0) {
        give_up("listen");
    }
    const pid_t server = ::fork();
    if (server == 0) {
        serve(listening);
    }

    const auto begin = std::chrono::steady_clock::now();
    for (long i = 0; i < loops; ++i) {
        const int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(connection, where, sizeof address) != 0) {
            give_up("connect");
        }
        for (long trip = 0; trip < round_trips; ++trip) {
            send_all(connection, request_length);
            if (!receive(connection, reply_length)) {
                give_up("recv");
            }
        }
        ::close(connection);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    std::printf("%.6f\n", elapsed.count());

    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    ::unlink(address.sun_path);
    ::rmdir(folder.c_str());
}
