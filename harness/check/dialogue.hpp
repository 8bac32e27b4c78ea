#pragma once

// One connection to a server under test: what is sent and received goes past the wire judge and is kept.

#include "harness/check/incoming.hpp"
#include "harness/process/fd.hpp"
#include "harness/transcript/transcript.hpp"
#include "harness/wire/judge.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace harness::check {

using Clock = std::chrono::steady_clock;

/// What went over the connections of a case, and what the judge says of it.
struct WireLog {
    /// Records kept for people, at most; what comes later is only judged.
    static constexpr std::size_t most_records = 20000;

    wire::Transcript transcript;
    std::vector<wire::Violation> violations; ///< of the server
    wire::KnownSizes sizes;
    Clock::time_point begin = Clock::now();

    void add(wire::TranscriptRecord record);
};

/// Why nothing more comes.
enum class Silence {
    none,    ///< there is a message
    closed,  ///< the server has closed the connection
    reset,   ///< the server has reset the connection
    late,    ///< nothing has come by the deadline
    flooded, ///< more has come than any case needs
};

/// A connection in the hands of a case. Functions throw Interrupted.
class Dialogue {
  public:
    /// Bytes that a server may send on one connection; more is a flood.
    static constexpr std::uint64_t most_received = std::uint64_t{512} << 20;

    /// `log` has to live as long as the dialogue.
    Dialogue(UniqueFd socket, std::uint32_t number, WireLog& log);
    ~Dialogue();
    Dialogue(const Dialogue&) = delete;
    Dialogue& operator=(const Dialogue&) = delete;

    /// Sends bytes, in segments of `segment` bytes unless that is 0, while it takes in what the server sends.
    /// False if the server does not take them by the deadline or has closed the connection.
    bool send(nbd::Bytes bytes, Clock::time_point deadline, std::size_t segment = 0);

    /// The next message, or why there is none.
    Silence next(Incoming& message, Clock::time_point deadline);

    /// Tells the server that nothing more comes.
    void finish_sending();
    /// Ends the connection by force.
    void reset();

    /// How the next bytes are to be read; whoever sends something that changes it says so.
    [[nodiscard]] Reading& reading() { return reading_; }
    /// True once the server has closed or reset the connection and all it sent was taken.
    [[nodiscard]] bool over() const { return silence_ != Silence::none && bytes_.empty(); }
    /// The judge's view of what was agreed.
    [[nodiscard]] const wire::State& state() const;

  private:
    class Watch;
    /// Receives what is there; false if nothing was.
    bool receive();
    void end(wire::End how);

    UniqueFd socket_;
    std::uint32_t number_;
    WireLog& log_;
    std::unique_ptr<Watch> watch_;
    Reading reading_;
    nbd::Buffer bytes_; ///< received and not yet taken
    std::uint64_t received_ = 0;
    Silence silence_ = Silence::none;
    bool finished_ = false;
};

} // namespace harness::check
