#include "reference-client/mount/tests/support/file_server.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace refclient::mount::testing {

FileServer::FileServer(std::vector<std::string> options, std::uint64_t size)
  : options_(std::move(options))
  , uri_(nbd::parse_uri("nbd+unix:///?socket=" + folder_.file("socket"))) {
    std::ofstream(image()) << std::string(size, '.');
    start();
}

void FileServer::start() {
    const std::string pid_file = folder_.file("pid");
    std::filesystem::remove(pid_file);
    std::vector<std::string> command = {NBD_BIN_DIR "/nbd-resize-server", "-U", folder_.file("socket"),
                                        "--pid-file", pid_file};
    command.insert(command.end(), options_.begin(), options_.end());
    command.push_back(image());
    process_.emplace(command);
    if (!refclient::testing::eventually(
            [&] { return std::filesystem::exists(pid_file) || !process_->running(); }) ||
        !process_->running()) {
        throw std::runtime_error("nbd-resize-server does not start");
    }
}

} // namespace refclient::mount::testing
