#include "reference-client/tests/support/process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace refclient::testing {
namespace {

struct Streams {
    std::string in = "/dev/null";
    std::string out = "/dev/null";
    std::string err = "/dev/null";
};

pid_t start(const std::vector<std::string>& command, const Streams& streams) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const std::array<int, 3> files = {::open(streams.in.c_str(), O_RDONLY | O_CLOEXEC),
                                      ::open(streams.out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
                                      ::open(streams.err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
    const pid_t pid = ::fork();
    if (pid < 0) {
        throw std::system_error(errno, std::generic_category(), "fork");
    }
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < 3; ++i) {
            ::dup2(files[static_cast<std::size_t>(i)], i);
        }
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    for (const int file : files) {
        ::close(file);
    }
    return pid;
}

int exit_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

} // namespace

TemporaryFolder::TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "nbd-client-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Process::Process(const std::vector<std::string>& command)
  : pid_(start(command, {})) {}

Process Process::daemon(pid_t leader) {
    return {leader, true};
}

Process::Process(Process&& other) noexcept
  : pid_(std::exchange(other.pid_, -1))
  , daemon_(other.daemon_) {}

Process& Process::operator=(Process&& other) noexcept {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    daemon_ = other.daemon_;
    return *this;
}

Process::~Process() {
    kill();
}

void Process::kill() {
    if (pid_ <= 0) {
        return;
    }
    ::kill(daemon_ ? -pid_ : pid_, SIGKILL);
    if (!daemon_) {
        ::waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
}

bool Process::running() {
    if (daemon_) {
        return pid_ > 0 && ::kill(pid_, 0) == 0;
    }
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
    }
    return pid_ > 0;
}

void Process::signal(int number) const {
    if (pid_ > 0) {
        ::kill(pid_, number);
    }
}

int Process::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return exit_status(status);
}

Finished run(const std::vector<std::string>& command, const std::string& input) {
    const TemporaryFolder folder;
    const Streams streams{folder.file("in"), folder.file("out"), folder.file("err")};
    std::ofstream(streams.in) << input;
    const pid_t pid = start(command, streams);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    Finished finished;
    finished.status = exit_status(status);
    finished.out = contents(streams.out);
    finished.err = contents(streams.err);
    return finished;
}

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
    }
    const char* const path = std::getenv("PATH");
    std::istringstream folders(std::string(path == nullptr ? "" : path) + ":/usr/sbin:/sbin");
    for (std::string folder; std::getline(folders, folder, ':');) {
        const std::string candidate = folder + "/" + name;
        if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    return {};
}

} // namespace refclient::testing
