#include "drivers/common/error.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

namespace driver {

namespace {

// Linux numbers its errors from 1 without a gap that matters; the largest is 133 (EHWPOISON).
constexpr int last_errno = 255;

} // namespace

std::string_view name(Where where) {
    switch (where) {
    case Where::server:
        return "server";
    case Where::local:
        return "local";
    case Where::connection:
        return "connection";
    case Where::driver:
        break;
    }
    return "driver";
}

Failure::Failure(Error error)
  : error_(std::move(error)) {}

void refuse_step(int number, std::string message) {
    throw Failure({errno_name(number), Where::driver, std::move(message)});
}

void refuse_step(std::string message) {
    refuse_step(EINVAL, std::move(message));
}

std::string errno_name(int number) {
    if (number == ENOTSUP)
        return "ENOTSUP";
    const char* symbol = number > 0 ? strerrorname_np(number) : nullptr;
    return symbol ? symbol : "EUNKNOWN";
}

std::optional<int> errno_number(std::string_view name) {
    if (name == "EOPNOTSUPP")
        return EOPNOTSUPP;
    if (name == "EWOULDBLOCK")
        return EWOULDBLOCK;
    for (int number = 1; number <= last_errno; ++number)
        if (const std::string known = errno_name(number); known != "EUNKNOWN" && known == name)
            return number;
    return std::nullopt;
}

} // namespace driver
