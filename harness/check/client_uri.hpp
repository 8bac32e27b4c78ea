#pragma once

// The URIs that clients are given in the place of {uri}.

#include "harness/process/socket.hpp"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace harness::check {

/// This machine cannot listen where a case needs it. Says nothing about the client.
struct CannotListen : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Bytes as a URI may have them in its path and in values of its query.
[[nodiscard]] std::string escaped(std::string_view text);

/// The URI of a case, as a text with places:
///
///     {socket}          the path of the server's Unix socket, escaped where it has to be
///     {socket-encoded}  the same with every byte escaped, in small letters
///     {port}            the TCP port of the server, on 127.0.0.1, or on ::1 if [::1] stands before it
///     {host}            an address on which the server listens on port 10809
///
/// What it has decides how the server is reached.
class ClientUri {
  public:
    ClientUri() = default;
    /// Throws std::invalid_argument where there is no such place, or where they contradict each other.
    explicit ClientUri(std::string text);

    /// True if the case has none of its own.
    [[nodiscard]] bool empty() const { return text_.empty(); }
    [[nodiscard]] const std::string& text() const { return text_; }
    /// True if the client gets to the server over TCP.
    [[nodiscard]] bool tcp() const;

    /// A socket for this URI; the path is for a Unix socket. Throws CannotListen, std::system_error.
    [[nodiscard]] Listener listen(const std::filesystem::path& path) const;
    /// The URI where the client is to connect to this address.
    [[nodiscard]] std::string at(const Address& address) const;

    bool operator==(const ClientUri&) const = default;

  private:
    [[nodiscard]] bool has(std::string_view place) const;

    std::string text_;
};

/// The URI that a client is given where the case has none of its own.
[[nodiscard]] std::string plain_uri(const Address& address, std::string_view export_name);

} // namespace harness::check
