// fake-server MANNER: a server without NBD, on the listening socket that it is given as descriptor 3.
//
//   hang    takes connections and never says a word
//   crash   takes a connection and dies of SIGSEGV
//   leave   takes a connection, says "enough" to its log, and exits with 7

#include <csignal>
#include <cstdio>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char** argv) {
    constexpr int listening = 3;
    const std::string_view manner = argc > 1 ? argv[1] : "";
    while (accept(listening, nullptr, nullptr) >= 0) {
        if (manner == "crash") {
            std::signal(SIGSEGV, SIG_DFL); // a sanitizer's handler would exit instead
            std::raise(SIGSEGV);
        }
        if (manner == "leave") {
            std::fputs("enough\n", stderr);
            return 7;
        }
    }
    std::perror("fake-server: accept");
    return 1;
}
