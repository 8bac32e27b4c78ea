#pragma once

#include "reference-server/export.hpp"
#include "reference-server/net/listener.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace refserver {

/// Carries out one line of the control socket, without its newline, and returns the answer likewise:
/// "resize EXPORT BYTES" gives "ok", "size EXPORT" the size in bytes; "error TEXT" says what is wrong. The
/// export name is as a client sends it, possibly empty, possibly with spaces.
[[nodiscard]] std::string obey(ExportCatalogue& catalogue, std::string_view line);

/// A Unix socket on which exports are resized behind the back of their clients, in a thread of its own.
class ControlSocket {
  public:
    /// Longer lines end the connection.
    static constexpr std::size_t longest_line = 8192;

    /// The catalogue outlives it. Throws std::system_error.
    ControlSocket(const std::string& path, ExportCatalogue& catalogue);
    ~ControlSocket();
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

  private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace refserver
