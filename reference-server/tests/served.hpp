#pragma once

// The server as a process.

#include "protocol/transmission.hpp"
#include "reference-server/tests/process.hpp"
#include "reference-server/tests/raw_client.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <string>
#include <vector>

namespace refserver {

inline const std::string server = std::string(NBD_BIN_DIR) + "/nbd-resize-server";

inline std::vector<std::string> with(std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
    return command;
}

/// A server on a Unix socket.
class Served {
  public:
    explicit Served(const std::vector<std::string>& arguments)
      : process_(with({server, "--unix", socket()}, arguments), folder_ / "log") {
        process_.wait_for_output("nbd+unix:///?socket=");
    }
    /// However a test ends, the server ends well: a sanitizer's finding is an exit code as well.
    ~Served() {
        if (process_.running()) {
            process_.signal(SIGTERM);
            EXPECT_EQ(process_.wait(), 0) << process_.output();
        }
    }
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;

    [[nodiscard]] std::string socket() const { return folder_ / "socket"; }
    [[nodiscard]] std::string uri() const { return "nbd+unix:///?socket=" + socket(); }
    [[nodiscard]] const Folder& folder() const { return folder_; }
    Process& process() { return process_; }
    void expect_service() const {
        const RawClient client(socket());
        EXPECT_GT(client.enter_transmission(), 0U);
        client.send(nbd::encode(nbd::CompactRequest{0, nbd::Command::disc, 0, 0, 0}));
        EXPECT_TRUE(client.receive_all().empty());
    }

  private:
    Folder folder_;
    Process process_;
};

} // namespace refserver
