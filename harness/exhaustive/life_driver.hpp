#pragma once

// A driver that leads clients through lives: docs/driver-protocol.md, "Lives".

#include "harness/process/launch.hpp"
#include "harness/process/process.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

/// One life to lead.
struct LifeOrder {
    std::size_t id = 0;
    std::string socket;  ///< where the server listens
    std::string control; ///< its control socket
    std::string export_name;
    std::string client;   ///< the client's knobs as text: "ask=info,replies=simple,…"
    std::string external; ///< what happens to the storage: "none", "grow", "shrink"
};

/// What came of it: an answer to each question of the driver's hello, or an error.
struct LifeReport {
    std::size_t id = 0;
    std::vector<std::string> answers;
    std::string error; ///< where the life could not be led to its end, and why
};

/// The driver's process. Orders may be sent ahead of the reports, which come in the order of the orders.
class LifeDriver {
  public:
    /// Starts the driver and reads its hello. Throws LaunchError, TimedOut, PeerGone.
    LifeDriver(const Launch& launch, std::chrono::milliseconds patience);

    /// The questions, in the order of the answers.
    [[nodiscard]] const std::vector<std::string>& questions() const { return questions_; }

    /// Throws PeerGone if the driver has ended, TimedOut if it takes nothing.
    void send(const LifeOrder& order);
    /// The next report. Throws PeerGone, TimedOut if none comes within the patience.
    [[nodiscard]] LifeReport receive();

    /// How the driver ended, for messages.
    [[nodiscard]] std::string how_it_ended();
    [[nodiscard]] Process& process() { return process_; }

  private:
    [[nodiscard]] std::string read_line();

    Process process_;
    std::chrono::milliseconds patience_;
    std::vector<std::string> questions_;
};

} // namespace harness
