#include "reference-server/backend/file.hpp"
#include "reference-server/backend/memory.hpp"
#include "reference-server/command_line.hpp"
#include "reference-server/export.hpp"
#include "reference-server/net/listener.hpp"
#include "reference-server/net/server.hpp"
#include "reference-server/sizes.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace refserver;

std::shared_ptr<Backend> open_backend(const CommandLine& line) {
    if (line.memory_size) {
        return std::make_shared<MemoryBackend>(*line.memory_size);
    }
    return std::make_shared<FileBackend>(line.file, line.served.read_only);
}

std::vector<Listener> listen_to(const CommandLine& line) {
    if (!line.unix_path.empty()) {
        std::vector<Listener> listeners;
        listeners.push_back(listen_unix(line.unix_path));
        return listeners;
    }
    return listen_tcp(line.address.value_or("localhost"), line.port.value_or(nbd::default_port));
}

void write_pid_file(const std::string& path) {
    std::ofstream file(path);
    file << ::getpid() << '\n';
    file.close();
    if (!file) {
        throw std::runtime_error(fmt::format("cannot write the process number to {}", path));
    }
}

/// Removes the file at the end.
class PidFile {
  public:
    explicit PidFile(std::string path)
      : path_(std::move(path)) {
        if (!path_.empty()) {
            write_pid_file(path_);
        }
    }
    ~PidFile() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

  private:
    std::string path_;
};

int serve(const CommandLine& line) {
    std::vector<Listener> listeners = activated_sockets();
    const bool activated = !listeners.empty();
    if (activated && (!line.unix_path.empty() || line.port || line.address)) {
        fmt::print(stderr,
                   "nbd-resize-server: the sockets came by socket activation (LISTEN_FDS); leave out --unix, "
                   "--port and --bind\n");
        return exit_code::usage;
    }
    const auto backend = open_backend(line);
    const auto served = std::make_shared<Export>(line.served, backend);
    SingleExport catalogue(served);
    const std::uint64_t size = served->size();
    if (size != backend->size()) {
        fmt::print(stderr,
                   "nbd-resize-server: the last {} bytes are no whole block of {} bytes and are not served\n",
                   backend->size() - size, line.served.block.minimum);
    }
    if (!activated) {
        listeners = listen_to(line);
        for (const Listener& listener : listeners) {
            fmt::print("serving {} ({}) at {}\n", backend->describe(), size_text(size), listener.uri);
        }
        std::fflush(stdout);
    }
    Server server(line.server, catalogue, std::move(listeners));
    const PidFile pid_file(line.pid_file);
    server.run();
    return exit_code::success;
}

} // namespace

int main(int argc, char** argv) {
    const auto parsed = refserver::parse_command_line(argc, argv, NBD_VERSION);
    if (!parsed.command_line) {
        return parsed.exit_code;
    }
    try {
        return serve(*parsed.command_line);
    } catch (const std::exception& error) {
        fmt::print(stderr, "nbd-resize-server: {}\n", error.what());
        return refserver::exit_code::runtime_failure;
    }
}
