#include "reference-client/mount/file_errors.hpp"

#include <cerrno>

namespace refclient::mount {
namespace {

/// Errors that mean the same to the program as they do to the protocol.
int same(int code) {
    return code == ENOMEM || code == ENOSPC ? code : EIO;
}

} // namespace

bool ends_connection(const Failure& failure) {
    return failure.kind() == FailureKind::connection || failure.kind() == FailureKind::protocol;
}

int file_error(FileAction action, const Failure& failure) {
    if (ends_connection(failure)) {
        return EIO;
    }
    const int code = failure.code();
    switch (action) {
    case FileAction::read:
        return code == ENOMEM ? ENOMEM : EIO;
    case FileAction::flush:
        return same(code);
    case FileAction::write:
        return code == EPERM ? EROFS : same(code);
    case FileAction::zero:
        if (code == ENOTSUP) {
            return EOPNOTSUPP;
        }
        return code == EPERM ? EROFS : same(code);
    case FileAction::grow:
        return code == EIO || code == ENOMEM || code == EROFS ? code : ENOSPC;
    case FileAction::shrink:
        if (code == EINVAL || code == ENOSPC) {
            return code;
        }
        return code == EPERM || code == ENOTSUP ? EPERM : same(code);
    }
    return EIO;
}

} // namespace refclient::mount
