#pragma once

#include "harness/peers/client.hpp"
#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

namespace harness {

/// A client library behind a driver (docs/driver-protocol.md).
class DriverClient final : public Client {
  public:
    /// Starts the driver and reads its hello, which has to name the `operations`. `transcript` gets every
    /// line of both directions.
    DriverClient(const Launch& launch, const std::set<std::string>& operations,
                 std::filesystem::path transcript, Deadline deadline);

    ~DriverClient() override;
    ClientOutcome perform(const ClientStep& step, Deadline deadline) override;
    void finish(Deadline deadline) override;

  private:
    void note(char direction, std::string_view line) const;
    std::string read_line(Deadline deadline);
    [[noreturn]] void died(Deadline deadline);

    Process process_;
    std::filesystem::path transcript_;
};

} // namespace harness
