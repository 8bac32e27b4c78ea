#include "reference-client/mount/tests/support/file_server.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace refclient::mount::testing {

using refclient::testing::eventually;
using refclient::testing::TemporaryFolder;

FileServer::FileServer()
  : folder_(std::make_unique<TemporaryFolder>())
  , uri_(nbd::parse_uri("nbd+unix:///?socket=" + folder_->file("socket"))) {}

FileServer::FileServer(const std::vector<std::string>& options, std::uint64_t size)
  : FileServer() {
    std::ofstream(image()) << std::string(size, '.');
    command_ = {NBD_BIN_DIR "/nbd-resize-server", "-U", folder_->file("socket"), "--pid-file",
                folder_->file("pid")};
    command_.insert(command_.end(), options.begin(), options.end());
    command_.push_back(image());
    start();
}

FileServer FileServer::forgetful(std::uint64_t size) {
    FileServer server;
    std::ofstream(server.image()).flush();
    std::filesystem::resize_file(server.image(), size);
    server.command_ = {refclient::testing::find_program("nbdkit"),
                       "--foreground",
                       "--exit-with-parent",
                       "-U",
                       server.folder_->file("socket"),
                       "-P",
                       server.folder_->file("pid"),
                       "--filter=cache",
                       "file",
                       server.image(),
                       "cache=writeback"};
    server.start();
    return server;
}

void FileServer::start() {
    const std::string pid_file = folder_->file("pid");
    std::filesystem::remove(pid_file);
    std::filesystem::remove(folder_->file("socket"));
    process_.emplace(command_);
    if (!eventually([&] { return std::filesystem::exists(pid_file) || !process_->running(); }) ||
        !process_->running()) {
        throw std::runtime_error(command_.front() + " does not start");
    }
}

} // namespace refclient::mount::testing
