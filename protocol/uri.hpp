#pragma once

// NBD URIs: where an export is and how to reach it, as one line of text (the specification's doc/uri.md).

#include "protocol/numbers.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nbd {

/// Why a text is no NBD URI, or why a `Uri` cannot be written as one. `what()` is the whole message for
/// people.
class UriError : public std::invalid_argument {
  public:
    UriError(std::string_view where, const std::string& why,
             std::optional<std::size_t> position = std::nullopt);

    /// The component at fault: "scheme", "user", "host", "port", "export name", "query", "fragment", the name
    /// of a query parameter, or "URI" where it is the whole.
    [[nodiscard]] const std::string& where() const { return where_; }
    /// The byte of the text at fault, counted from 0, where there is one.
    [[nodiscard]] std::optional<std::size_t> position() const { return position_; }

  private:
    std::string where_;
    std::optional<std::size_t> position_;
};

/// A query parameter, percent-decoded. `key` and `key=` are the same.
struct UriParameter {
    std::string key;
    std::string value;

    bool operator==(const UriParameter&) const = default;
};

/// The parts of an NBD URI, percent-decoded: the bytes may be anything that the part allows, valid UTF-8 or
/// not.
struct Uri {
    enum class Transport {
        tcp,
        unix_socket,
    };

    Transport transport = Transport::tcp;
    bool tls = false; ///< schemes `nbds` and `nbds+unix`: never go on without TLS
    /// For TLS with pre-shared keys; empty: a local credential (NBD URI authority).
    std::string user;
    /// A name or an address, IPv6 without brackets; of TCP only.
    std::string host = "localhost";
    std::uint16_t port = default_port; ///< 1 to 65535; of TCP only
    /// The path of a Unix socket; of that transport only, and not empty. A NUL at the front, and only there,
    /// means the abstract namespace.
    std::string socket;
    std::string export_name; ///< no NUL; its length is not limited here
    /// All query parameters but `socket`, in their order.
    std::vector<UriParameter> parameters;

    /// The value of the first parameter of this name, such as "tls-type"; empty if there is none.
    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view key) const;
    /// The names of parameters that the specification does not know and that do not begin with "x-". A client
    /// should diagnose them.
    [[nodiscard]] std::vector<std::string> unknown_parameters() const;

    bool operator==(const Uri&) const = default;
};

/// Reads `nbd://`, `nbds://`, `nbd+unix://` and `nbds+unix://` URIs. A missing or empty host means localhost,
/// a missing or empty port 10809; for Unix sockets both must be missing. Throws UriError.
[[nodiscard]] Uri parse_uri(std::string_view text);

/// The URI as text, such that `parse_uri(format_uri(uri)) == uri`; percent-encodes whatever has a meaning in
/// a URI or a shell. Throws UriError if no URI can say it, e.g. for an export name with a NUL.
[[nodiscard]] std::string format_uri(const Uri& uri);

} // namespace nbd
