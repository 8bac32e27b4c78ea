#include "reference-server/tests/process.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sstream>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace refserver {
namespace {

constexpr std::chrono::milliseconds poll_interval{5};
constexpr std::chrono::seconds patience{60};

[[noreturn]] void execute(const std::vector<std::string>& command, const std::string& log, int third) {
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    if (third >= 0) {
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        if (third == 3) {
            ::fcntl(third, F_SETFD, 0);
        } else {
            ::dup2(third, 3);
        }
    }
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
}

} // namespace

Folder::Folder()
  : path_((std::filesystem::temp_directory_path() / "refserver-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) {
        throw std::system_error(errno, std::system_category(), path_);
    }
}

Folder::~Folder() {
    std::filesystem::remove_all(path_);
}

Process::Process(const std::vector<std::string>& command, std::string log, int third)
  : log_(std::move(log))
  , id_(::fork()) {
    if (id_ == 0) {
        execute(command, log_, third);
    }
    if (id_ < 0) {
        throw std::system_error(errno, std::system_category(), "fork");
    }
}

Process::~Process() {
    if (running()) {
        signal(SIGKILL);
        wait();
    }
}

void Process::signal(int number) const {
    ::kill(id_, number);
}

int Process::wait() {
    if (status_ == -1) {
        while (::waitpid(id_, &status_, 0) < 0 && errno == EINTR) {
        }
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

bool Process::running() {
    if (status_ == -1 && ::waitpid(id_, &status_, WNOHANG) == 0) {
        status_ = -1;
        return true;
    }
    return false;
}

std::string Process::output() const {
    std::ifstream file(log_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string Process::wait_for_output(const std::string& text) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    for (;;) {
        const bool alive = running();
        const std::string so_far = output();
        if (so_far.find(text) != std::string::npos) {
            return so_far;
        }
        if (!alive || std::chrono::steady_clock::now() > give_up) {
            ADD_FAILURE() << "no \"" << text << "\" in: " << so_far;
            return so_far;
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

Result run(const std::vector<std::string>& command, const Folder& folder) {
    static std::atomic<int> number{0};
    Process process(command, folder / ("output-" + std::to_string(++number)));
    const int code = process.wait();
    return {code, process.output()};
}

bool installed(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::stringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        if (::access((folder + "/" + program).c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

} // namespace refserver
