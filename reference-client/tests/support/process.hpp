#pragma once

// Programs that tests start, and the folders that these use.

#include <chrono>
#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace refclient::testing {

/// A folder of its own, removed with everything in it.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

/// A program in the background, killed at the latest when this is destroyed. Its output goes nowhere.
class Process {
  public:
    explicit Process(const std::vector<std::string>& command);
    /// A daemon that leads a process group of its own, all of which is killed.
    [[nodiscard]] static Process daemon(pid_t leader);
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();
    /// Kills it at once.
    void kill();
    [[nodiscard]] bool running();
    /// Sends it a signal.
    void signal(int number) const;
    /// Waits for its end: the exit status, or 128 and the number of the signal that ended it.
    [[nodiscard]] int wait();

  private:
    Process(pid_t pid, bool daemon)
      : pid_(pid)
      , daemon_(daemon) {}

    pid_t pid_;
    bool daemon_ = false;
};

/// What a program that has ended left behind.
struct Finished {
    int status = -1; ///< the exit status; 128 and the signal's number if one ended it
    std::string out;
    std::string err;
};

/// Runs a program to its end, with this as its standard input.
[[nodiscard]] Finished run(const std::vector<std::string>& command, const std::string& input = {});

/// The path of an installed program; empty if there is none.
[[nodiscard]] std::string find_program(const std::string& name);

/// Waits until the predicate holds; false if it takes longer than a test may.
template <class Predicate>
bool eventually(Predicate predicate) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!predicate()) {
        if (std::chrono::steady_clock::now() > limit) {
            return false;
        }
        // Short, because tests are many; how long it takes is not judged.
        struct timespec pause {
            0, 2'000'000
        };
        ::nanosleep(&pause, nullptr);
    }
    return true;
}

} // namespace refclient::testing
