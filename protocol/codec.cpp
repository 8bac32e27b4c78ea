#include "protocol/codec.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace nbd {

std::string Malformed::describe() const {
    switch (kind) {
    case Kind::truncated:
        return value == 0
                   ? fmt::format("{}: the message ends here", field)
                   : fmt::format("{}: a length of {} goes beyond the end of the message", field, value);
    case Kind::trailing:
        return fmt::format("{} bytes are left over after the last field", value);
    case Kind::wrong_magic:
        return fmt::format("{}: wrong magic number {:#x}", field, value);
    }
    return {};
}

void throw_exception_from_error(const Malformed& malformed, const boost::source_location& /*where*/) {
    throw std::invalid_argument(malformed.describe());
}

} // namespace nbd
