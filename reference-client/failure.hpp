#pragma once

// What can go wrong for a client, as one exception type.

#include "protocol/numbers.hpp"

#include <optional>
#include <stdexcept>
#include <string>

namespace refclient {

/// Who or what a failure comes from.
enum class FailureKind {
    server,     ///< the server answered with an error, to a request or to an option
    local,      ///< refused here, before anything was sent
    connection, ///< no connection, or it was closed, broke or timed out
    protocol,   ///< the server broke a rule of the protocol; the connection was dropped because of it
};

/// An operation did not succeed. `what()` is a sentence for people.
class Failure : public std::runtime_error {
  public:
    /// `code` is an errno value, 0 if none fits.
    Failure(FailureKind kind, int code, const std::string& message);
    /// The server's error to a request.
    Failure(nbd::Error error, const std::string& message);

    [[nodiscard]] FailureKind kind() const { return kind_; }
    /// An errno value such as EINVAL; 0 if none fits.
    [[nodiscard]] int code() const { return code_; }
    /// `code()` as a symbol such as "EINVAL"; "EUNKNOWN" if there is none.
    [[nodiscard]] std::string symbol() const { return symbol(code_); }
    /// The symbol of an errno value.
    [[nodiscard]] static std::string symbol(int code);

  private:
    FailureKind kind_;
    int code_;
};

/// The errno value of an error of the protocol (Error values).
[[nodiscard]] int to_errno(nbd::Error error);

/// What the specification wants a client to take an error value for: unknown ones are `inval`.
[[nodiscard]] nbd::Error known_error(nbd::Error error);

/// A broken rule of the protocol.
[[nodiscard]] Failure violation(const std::string& message);

} // namespace refclient
