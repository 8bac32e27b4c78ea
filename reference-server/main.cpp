#include "reference-server/backend/file.hpp"
#include "reference-server/backend/memory.hpp"
#include "reference-server/backend/sparse_memory.hpp"
#include "reference-server/catalogue.hpp"
#include "reference-server/command_line.hpp"
#include "reference-server/export.hpp"
#include "reference-server/net/control.hpp"
#include "reference-server/net/listener.hpp"
#include "reference-server/net/server.hpp"
#include "reference-server/sizes.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace refserver;

/// The export that the command line names; null if there is none and names are knobs.
std::shared_ptr<Export> open_export(const CommandLine& line) {
    std::shared_ptr<Backend> backend;
    if (!line.file.empty()) {
        if (line.knobs.size) {
            FileBackend::prepare(line.file, *line.knobs.size);
        }
        backend = std::make_shared<FileBackend>(line.file, line.served.read_only);
    } else if (!line.memory_size) {
        return nullptr;
    }
    const DiskPlan plan =
        plan_disk(line.knobs, {}, line.served.block.minimum, backend ? backend->size() : *line.memory_size);
    const bool changes = plan.rules.knobs.growth != Growth::none || plan.rules.knobs.learn != Learn::none ||
                         !line.control_path.empty();
    if (!backend && changes) {
        // As much as the machine has is what limits a disk that was asked for on the command line.
        backend = std::make_shared<SparseMemory>(
            plan.size, std::make_shared<MemoryBudget>(std::numeric_limits<std::int64_t>::max()));
    } else if (!backend) {
        backend = std::make_shared<MemoryBackend>(plan.size);
    }
    return std::make_shared<Export>(line.served, std::move(backend), plan.rules);
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

/// Each connection and each temporary file takes a descriptor, and the usual limit is low.
void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int serve(const CommandLine& line) {
    allow_many_descriptors();
    std::vector<Listener> listeners = activated_sockets();
    const bool activated = !listeners.empty();
    if (activated && (!line.unix_path.empty() || line.port || line.address)) {
        fmt::print(stderr,
                   "nbd-resize-server: the sockets came by socket activation (LISTEN_FDS); leave out --unix, "
                   "--port and --bind\n");
        return exit_code::usage;
    }
    const auto own = open_export(line);
    KnobCatalogue catalogue({line.served, line.knobs, line.wire_faults}, own);
    if (own && own->size() != own->backend().size()) {
        fmt::print(stderr,
                   "nbd-resize-server: the last {} bytes are no whole block of {} bytes and are not served\n",
                   own->backend().size() - own->size(), line.served.block.minimum);
    }
    if (!activated) {
        listeners = listen_to(line);
    }
    std::vector<std::string> uris;
    for (const Listener& listener : listeners) {
        uris.push_back(listener.uri);
    }
    Server server(line.server, catalogue, std::move(listeners));
    // Its thread must be started after the server has blocked the signals that end it.
    std::unique_ptr<ControlSocket> control;
    if (!line.control_path.empty()) {
        control = std::make_unique<ControlSocket>(line.control_path, catalogue);
    }
    if (!activated) {
        const std::string what =
            own ? fmt::format("{} ({})", own->backend().describe(), size_text(own->size()))
                : "disks by their knobs";
        for (const std::string& uri : uris) {
            fmt::print("serving {} at {}\n", what, uri);
        }
        std::fflush(stdout);
    }
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
