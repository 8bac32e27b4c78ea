#pragma once

// A released NBD server as a child process, on a Unix socket of its own.

#include <memory>
#include <string>
#include <vector>

namespace driver::test {

/// Starts a server and waits until it accepts connections. Killed, and its socket removed, in the end.
class ServerProcess {
  public:
    /// nbdkit with these arguments: "memory", "1M".
    static ServerProcess nbdkit(std::vector<std::string> arguments);
    /// qemu-nbd serving a new raw image of `megabytes` MiB, whose first 64 KiB are data and whose rest is a
    /// hole, as the export "disk" with the description "a disk". It serves eight clients at a time and so
    /// promises multi-conn; "--shared=1" among the arguments makes it one and no promise.
    static ServerProcess qemu_nbd(unsigned megabytes, std::vector<std::string> arguments = {});

    /// nbd-resize-server with an export of `megabytes` MiB in memory and these arguments: "--growth=auto".
    static ServerProcess resize_server(unsigned megabytes, const std::vector<std::string>& arguments);

    ~ServerProcess();
    ServerProcess(ServerProcess&&) noexcept;
    ServerProcess& operator=(ServerProcess&&) = delete;

    /// The URI of its export `name`.
    [[nodiscard]] std::string uri(const std::string& name = "") const;
    /// SIGKILL, and waits for the end.
    void kill();

  private:
    struct Process;
    explicit ServerProcess(std::unique_ptr<Process> process);
    std::unique_ptr<Process> process_;
};

/// A new folder under the system's one for temporary files.
[[nodiscard]] std::string make_folder();

} // namespace driver::test
