#pragma once

// Error values, which simple replies and error chunks share.

#include "harness/wire/rule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace wire {

/// What is wrong with an error that the specification does not list (Error values).
[[nodiscard]] inline Wrong unknown_error(nbd::Error error) {
    using nbd::Error;
    constexpr std::array known_errors{Error::none,     Error::perm,   Error::io,
                                      Error::nomem,    Error::inval,  Error::nospc,
                                      Error::overflow, Error::notsup, Error::shutdown};
    return std::ranges::find(known_errors, error) == known_errors.end()
               ? fmt::format("the error is {}", static_cast<std::uint32_t>(error))
               : Wrong();
}

} // namespace wire
