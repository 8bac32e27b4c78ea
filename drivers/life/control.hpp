#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace driver {

/// The control socket of a server with resizable exports: what happens to the storage behind its back.
class Control {
  public:
    /// Connects. Throws std::system_error.
    explicit Control(const std::string& path);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// Resizes the storage of an export, in bytes, and returns its true size afterwards. Throws
    /// std::runtime_error with the server's words if it could not be done.
    std::uint64_t resize(std::string_view export_name, std::uint64_t bytes);
    /// The true size of an export, in bytes. Throws likewise.
    [[nodiscard]] std::uint64_t size(std::string_view export_name);

  private:
    void send(const std::string& lines);
    /// The next line, without its newline.
    [[nodiscard]] std::string receive();

    int socket_ = -1;
    std::string received_;
};

} // namespace driver
