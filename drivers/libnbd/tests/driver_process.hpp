#pragma once

// nbd-driver-libnbd as a child process.

#include <boost/json/object.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace driver::test {

/// Starts the driver and talks to it in JSON lines.
class DriverProcess {
  public:
    explicit DriverProcess(std::vector<std::string> arguments = {});
    ~DriverProcess();
    DriverProcess(const DriverProcess&) = delete;
    DriverProcess& operator=(const DriverProcess&) = delete;

    [[nodiscard]] const boost::json::object& hello() const { return hello_; }

    /// Sends the step, completed by an id, and waits for its result.
    boost::json::object operator()(boost::json::object step);
    /// The same for a step that has to succeed: its "result".
    boost::json::object result_of(boost::json::object step);
    /// The same for a step that has to fail: "ERRNO where".
    std::string error_of(boost::json::object step);

    /// Id of the last step.
    [[nodiscard]] std::uint64_t last_id() const { return id_; }

    /// Closes standard input and waits for the exit status.
    int end();

  private:
    struct Process;
    boost::json::object next_line();

    std::unique_ptr<Process> process_;
    boost::json::object hello_;
    std::uint64_t id_ = 0;
};

} // namespace driver::test
