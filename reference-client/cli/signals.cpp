#include "reference-client/cli/signals.hpp"

#include "reference-client/failure.hpp"

#include <cerrno>
#include <cstring>
#include <sys/signalfd.h>
#include <unistd.h>

namespace refclient::cli {

Interruption::Interruption(std::initializer_list<int> others) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    for (const int other : others) {
        sigaddset(&signals_, other);
    }
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    descriptor_ = ::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) {
        throw Failure(FailureKind::local, errno,
                      std::string("cannot wait for signals: ") + std::strerror(errno));
    }
}

Interruption::~Interruption() {
    // A signal that has come already did its work, and would end the program once it is let through.
    signalfd_siginfo taken{};
    while (::read(descriptor_, &taken, sizeof(taken)) > 0) {
    }
    ::close(descriptor_);
    ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
}

} // namespace refclient::cli
