#include "harness/peers/client.hpp"

#include <fmt/format.h>

namespace harness {

std::string ClientError::describe() const {
    const char* place = "";
    switch (where) {
    case ErrorPlace::unknown:
        break;
    case ErrorPlace::server:
        place = " (from the server)";
        break;
    case ErrorPlace::local:
        place = " (by the client, without asking the server)";
        break;
    case ErrorPlace::connection:
        place = " (the connection failed)";
        break;
    case ErrorPlace::driver:
        place = " (by the driver)";
        break;
    }
    return message.empty() ? fmt::format("{}{}", name, place) : fmt::format("{}{}: {}", name, place, message);
}

} // namespace harness
