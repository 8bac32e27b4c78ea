#include "reference-client/cli/signals.hpp"

#include "reference-client/failure.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/signalfd.h>
#include <unistd.h>

namespace refclient::cli {
namespace {

sigset_t ending_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

} // namespace

Interruption::Interruption() {
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
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
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

} // namespace refclient::cli
