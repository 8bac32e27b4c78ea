#include "reference-server/gateway/tests/inner_servers.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace refserver {
namespace {

void make_file(const std::string& path, std::uint64_t size) {
    std::ofstream(path).close();
    std::filesystem::resize_file(path, size);
}

bool takes_connections(const std::string& path) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    const bool taken = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    return taken;
}

} // namespace

void InnerServer::start() {
    ::unlink(socket().c_str());
    process_ = std::make_unique<Process>(command(), folder_ / "inner.log");
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!takes_connections(socket())) {
        if (!process_->running() || std::chrono::steady_clock::now() > give_up) {
            ADD_FAILURE() << command().front() << " does not take connections: " << process_->output();
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void InnerServer::kill() {
    process_->signal(SIGKILL);
    process_->wait();
}

std::vector<std::string> InnerServer::gateway(const std::vector<std::string>& more) const {
    std::vector<std::string> options{"--backend", "nbd:" + uri()};
    if (!resize_with().empty()) {
        options.insert(options.end(), {"--resize-with", resize_with()});
    }
    options.insert(options.end(), more.begin(), more.end());
    return options;
}

Nbdkit::Nbdkit(const Folder& folder, std::uint64_t size, std::vector<std::string> filters,
               std::vector<std::string> parameters)
  : InnerServer(folder)
  , filters_(std::move(filters))
  , parameters_(std::move(parameters)) {
    make_file(image(), size);
    start();
}

std::vector<std::string> Nbdkit::command() const {
    std::vector<std::string> words{"nbdkit", "--foreground", "--unix", socket()};
    words.insert(words.end(), filters_.begin(), filters_.end());
    words.insert(words.end(), {"file", image()});
    words.insert(words.end(), parameters_.begin(), parameters_.end());
    return words;
}

StorageDaemon::StorageDaemon(const Folder& folder, std::uint64_t size, std::string format)
  : InnerServer(folder)
  , format_(std::move(format)) {
    EXPECT_EQ(run({"qemu-img", "create", "-q", "-f", format_, image(), std::to_string(size)}, folder).code,
              0);
    start();
}

std::vector<std::string> StorageDaemon::command() const {
    return {"qemu-storage-daemon",
            "--blockdev",
            "driver=file,node-name=file0,filename=" + image(),
            "--blockdev",
            "driver=" + format_ + ",node-name=disk0,file=file0",
            "--nbd-server",
            "addr.type=unix,addr.path=" + socket(),
            "--export",
            "type=nbd,id=export0,node-name=disk0,name=disk,writable=on",
            "--chardev",
            "socket,id=char0,server=on,wait=off,path=" + monitor(),
            "--monitor",
            "chardev=char0"};
}

QemuNbd::QemuNbd(const Folder& folder, std::uint64_t size)
  : InnerServer(folder) {
    make_file(image(), size);
    start();
}

std::vector<std::string> QemuNbd::command() const {
    return {"qemu-nbd", "--persistent", "--shared=0", "--format=raw", "--socket=" + socket(), image()};
}

} // namespace refserver
