#include "reference-client/failure.hpp"

#include <cerrno>
#include <cstring>

namespace refclient {

Failure::Failure(FailureKind kind, int code, const std::string& message)
  : std::runtime_error(message)
  , kind_(kind)
  , code_(code) {}

Failure::Failure(nbd::Error error, const std::string& message)
  : Failure(FailureKind::server, to_errno(error), message) {}

std::string Failure::symbol(int code) {
    // Linux has one number for two names, and the protocol speaks of this one.
    if (code == ENOTSUP) {
        return "ENOTSUP";
    }
    const char* const name = code == 0 ? nullptr : strerrorname_np(code);
    return name == nullptr ? "EUNKNOWN" : name;
}

int to_errno(nbd::Error error) {
    switch (error) {
    case nbd::Error::none:
        return 0;
    case nbd::Error::perm:
        return EPERM;
    case nbd::Error::io:
        return EIO;
    case nbd::Error::nomem:
        return ENOMEM;
    case nbd::Error::inval:
        return EINVAL;
    case nbd::Error::nospc:
        return ENOSPC;
    case nbd::Error::overflow:
        return EOVERFLOW;
    case nbd::Error::notsup:
        return ENOTSUP;
    case nbd::Error::shutdown:
        return ESHUTDOWN;
    }
    return EINVAL;
}

nbd::Error known_error(nbd::Error error) {
    switch (error) {
    case nbd::Error::none:
    case nbd::Error::perm:
    case nbd::Error::io:
    case nbd::Error::nomem:
    case nbd::Error::inval:
    case nbd::Error::nospc:
    case nbd::Error::overflow:
    case nbd::Error::notsup:
    case nbd::Error::shutdown:
        return error;
    }
    return nbd::Error::inval;
}

Failure violation(const std::string& message) {
    return {FailureKind::protocol, EPROTO, message};
}

} // namespace refclient
