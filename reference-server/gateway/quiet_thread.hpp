#pragma once

#include <csignal>
#include <pthread.h>
#include <thread>
#include <utility>

namespace refserver {

/// A thread that takes no signals, whenever it is started: they belong to the server.
template <class Body>
[[nodiscard]] std::thread quiet_thread(Body body) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(body));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

} // namespace refserver
