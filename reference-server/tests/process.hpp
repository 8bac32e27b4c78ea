#pragma once

// Programs that tests start.

#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace refserver {

/// A folder for sockets and files, removed at the end.
class Folder {
  public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

/// A program that runs beside the test; killed at the end if it still runs.
class Process {
  public:
    /// Standard output and error go to the file `log`. The descriptor `third`, if there is one, becomes
    /// number 3 and is passed as by a service manager.
    Process(const std::vector<std::string>& command, std::string log, int third = -1);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t id() const { return id_; }
    void signal(int number) const;
    /// Waits for the end; the exit code, or 128 and the signal that ended it.
    int wait();
    [[nodiscard]] bool running();
    /// What it has written so far.
    [[nodiscard]] std::string output() const;
    /// Waits until the output contains the text, and returns the output. An error of the test if the process
    /// ends before, or takes too long.
    std::string wait_for_output(const std::string& text);

  private:
    std::string log_;
    pid_t id_ = -1;
    int status_ = -1;
};

struct Result {
    int code = -1;
    std::string output; ///< standard output and error
};

/// Runs a program to its end.
[[nodiscard]] Result run(const std::vector<std::string>& command, const Folder& folder);

/// True if the program is installed.
[[nodiscard]] bool installed(const std::string& program);

} // namespace refserver
