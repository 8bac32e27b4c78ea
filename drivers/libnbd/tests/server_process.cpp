#include "drivers/libnbd/tests/server_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/process/v2/process.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace asio = boost::asio;
namespace process = boost::process::v2;

namespace driver::test {

namespace {

/// More than any server needs to start, on any machine.
constexpr std::chrono::seconds start_limit{60};

bool accepts_connections(asio::io_context& context, const std::string& path) {
    asio::local::stream_protocol::socket socket(context);
    boost::system::error_code error;
    socket.connect(path, error);
    return !error;
}

} // namespace

std::string make_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "driver-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
        throw std::runtime_error("cannot make a temporary folder");
    return name;
}

struct ServerProcess::Process {
    explicit Process(std::string where)
      : folder(std::move(where)) {}
    ~Process() {
        boost::system::error_code ignored;
        if (child.is_open() && child.running(ignored))
            child.terminate(ignored);
        std::filesystem::remove_all(folder);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void start(const std::string& program, const std::vector<std::string>& arguments) {
        // env looks the program up in PATH and then becomes it.
        std::vector<std::string> words{program};
        words.insert(words.end(), arguments.begin(), arguments.end());
        child = process::process(context, "/usr/bin/env", words);
        const auto deadline = std::chrono::steady_clock::now() + start_limit;
        while (!accepts_connections(context, socket())) {
            if (!child.running())
                throw std::runtime_error(
                    fmt::format("{} ended with status {} (127: not installed, run ci/bootstrap)", program,
                                child.exit_code()));
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error(program + " does not accept connections");
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    [[nodiscard]] std::string socket() const { return folder + "/socket"; }

    std::string folder;
    asio::io_context context;
    process::process child{context};
};

ServerProcess::ServerProcess(std::unique_ptr<Process> process)
  : process_(std::move(process)) {}
ServerProcess::~ServerProcess() = default;
ServerProcess::ServerProcess(ServerProcess&&) noexcept = default;

ServerProcess ServerProcess::nbdkit(std::vector<std::string> arguments) {
    auto server = std::make_unique<Process>(make_folder());
    std::vector<std::string> all{"--foreground", "--exit-with-parent", "--unix", server->socket()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    server->start("nbdkit", all);
    return ServerProcess(std::move(server));
}

ServerProcess ServerProcess::qemu_nbd(unsigned megabytes, std::vector<std::string> arguments) {
    auto server = std::make_unique<Process>(make_folder());
    const std::string image = server->folder + "/disk.raw";
    std::ofstream(image, std::ios::binary) << std::string(65536, 'x');
    std::filesystem::resize_file(image, std::uintmax_t{megabytes} << 20U);
    std::vector<std::string> all{"--persistent",   "--shared=8",         "--format=raw",  "--socket",
                                 server->socket(), "--export-name=disk", "--description", "a disk"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    all.push_back(image);
    server->start("qemu-nbd", all);
    return ServerProcess(std::move(server));
}

ServerProcess ServerProcess::resize_server(unsigned megabytes, const std::vector<std::string>& arguments) {
    auto server = std::make_unique<Process>(make_folder());
    std::vector<std::string> all{"--unix", server->socket(), "--memory", fmt::format("{}M", megabytes)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    server->start(NBD_BIN_DIR "/nbd-resize-server", all);
    return ServerProcess(std::move(server));
}

std::string ServerProcess::uri(const std::string& name) const {
    return fmt::format("nbd+unix:///{}?socket={}", name, process_->socket());
}

void ServerProcess::kill() {
    process_->child.terminate();
    process_->child.wait();
}

} // namespace driver::test
