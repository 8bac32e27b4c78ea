#include "reference-client/mount/tests/support/mounted.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <stdexcept>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace refclient::mount::testing {
namespace {

using refclient::testing::eventually;

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// The arguments for a shell that becomes the program, with its output in files.
std::vector<std::string> command(const std::string& uri, const std::vector<std::string>& options,
                                 const std::string& path, const std::string& out, const std::string& err) {
    std::vector<std::string> words = {"sh",
                                      "-c",
                                      "out=$1 err=$2; shift 2; exec \"$@\" >\"$out\" 2>\"$err\"",
                                      "sh",
                                      out,
                                      err,
                                      NBD_BIN_DIR "/nbd-resize-client",
                                      "mount",
                                      uri,
                                      path};
    words.insert(words.end(), options.begin(), options.end());
    return words;
}

/// Unmounts; users other than root by fusermount3. Throws std::runtime_error.
void unmount_file(const std::string& path, int flags) {
    if (::umount2(path.c_str(), flags) == 0) {
        return;
    }
    const std::string why = std::strerror(errno);
    const std::string helper = refclient::testing::find_program("fusermount3");
    if (helper.empty() || refclient::testing::run({helper, flags == 0 ? "-u" : "-uz", path}).status != 0) {
        throw std::runtime_error("umount: " + why);
    }
}

} // namespace

std::string why_no_mount() {
    static const std::string why = [] {
        const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (device < 0) {
            return std::string("/dev/fuse: ") + std::strerror(errno);
        }
        ::close(device);
        if (::unshare(CLONE_NEWNS) == 0) {
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        }
        return std::string();
    }();
    return why;
}

Mounted::Mounted(const std::string& uri, const std::vector<std::string>& options)
  : process_(command(uri, options, path(), folder_.file("out"), folder_.file("err"))) {
    const auto ready = [this] { return contents(folder_.file("out")).starts_with("mounted"); };
    if (!eventually([&] { return ready() || !process_.running(); }) || !ready()) {
        throw std::runtime_error("nbd-resize-client does not mount: " + log());
    }
}

Mounted::~Mounted() {
    try {
        if (mounted()) {
            unmount_file(path(), MNT_DETACH);
        }
    } catch (const std::runtime_error& error) {
        ADD_FAILURE() << error.what();
    }
}

bool Mounted::mounted() const {
    struct stat status {};
    struct stat folder {};
    ::stat(folder_.file("").c_str(), &folder);
    return ::stat(path().c_str(), &status) != 0 ? errno == ENOTCONN : status.st_dev != folder.st_dev;
}

std::string Mounted::log() const {
    return contents(folder_.file("err"));
}

int Mounted::unmount() {
    unmount_file(path(), 0);
    return process_.wait();
}

} // namespace refclient::mount::testing
