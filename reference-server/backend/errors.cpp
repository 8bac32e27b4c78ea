#include "reference-server/backend/errors.hpp"

#include "reference-server/backend/backend.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace refserver {

nbd::Error from_errno(int number) {
    switch (number) {
    case 0:
        return nbd::Error::none;
    case EPERM:
    case EACCES:
    case EROFS:
        return nbd::Error::perm;
    case ENOMEM:
        return nbd::Error::nomem;
    case EINVAL:
        return nbd::Error::inval;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return nbd::Error::nospc;
    case ESHUTDOWN:
        return nbd::Error::shutdown;
    default:
        return nbd::Error::io;
    }
}

void fail_with_errno(Operation& operation, int number, const char* what) {
    operation.fail(from_errno(number),
                   fmt::format("{} of {} bytes at offset {} failed: {}", what, operation.length,
                               operation.offset, std::system_category().message(number)));
}

Failure Backend::set_size(const SizeChange& /*change*/) {
    return {nbd::Error::nospc, describe() + " has a fixed size"};
}

} // namespace refserver
