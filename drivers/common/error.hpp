#pragma once

// How a step can fail, and the symbolic names of error numbers.

#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace driver {

/// Who refused: see the table of the driver protocol.
enum class Where { server, local, connection, driver };

/// "server", "local", "connection", "driver"
[[nodiscard]] std::string_view name(Where where);

/// The error of one step or of one request of it.
struct Error {
    std::string errno_name; ///< "EINVAL"; "EUNKNOWN" if the library gave none
    Where where = Where::driver;
    std::string message; ///< the library's own words

    bool operator==(const Error&) const = default;
};

/// Thrown by whatever carries out a step; the loop turns it into the step's result.
class Failure : public std::exception {
  public:
    explicit Failure(Error error);
    [[nodiscard]] const Error& error() const { return error_; }
    [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }

  private:
    Error error_;
};

/// Refuses a step that is malformed: `where` is `driver`. `number` is an errno value.
[[noreturn]] void refuse_step(int number, std::string message);
/// The same with EINVAL.
[[noreturn]] void refuse_step(std::string message);

/// The symbolic name of an errno value, "EUNKNOWN" for 0 and for numbers without a name. What has two names
/// goes by the one of the NBD specification: ENOTSUP, not EOPNOTSUPP.
[[nodiscard]] std::string errno_name(int number);

/// The number behind a symbolic name; nothing if this system does not know the name.
[[nodiscard]] std::optional<int> errno_number(std::string_view name);

} // namespace driver
