#pragma once

// What the wire judge finds in a case, and its transcript.

#include "harness/tap/tap.hpp"
#include "harness/transcript/transcript.hpp"
#include "harness/wire/judge.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace harness {

/// A requirement that was broken in a case, however often.
struct WireFinding {
    std::string requirement;
    wire::Side by = wire::Side::server;
    bool mandatory = true; ///< a MUST
    std::string what;      ///< the first time
    std::string place;     ///< of the first time: "connection 1, byte 28 of the server"
    std::size_t times = 0;
    bool by_ending = false; ///< it is the end of a connection that breaks it
};

/// Adds a violation to what was found: a new finding, or one time more of a known one. `where` says on which
/// connection.
void note(std::vector<WireFinding>& findings, const wire::Violation& violation, const std::string& where);

/// Judges all connections of a case and writes them down. For the tap's thread and another one.
class WireRecord final : public TapObserver {
  public:
    /// `title` names the case.
    WireRecord(const std::filesystem::path& transcript, const std::string& title);
    ~WireRecord() override;

    void opened(std::uint32_t connection) override;
    void bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) override;
    void ended(std::uint32_t connection, wire::Side by, wire::End how) override;

    /// The harness is about to end a peer: what comes on the connections that are there is not the peers'
    /// doing.
    void interfere();

    /// Why connections were not judged to their ends, each reason once: "TLS is in use".
    [[nodiscard]] std::vector<std::string> not_judged() const;

    /// How often the clients sent each option and request, by its name: "NBD_OPT_GO", "NBD_CMD_READ".
    [[nodiscard]] std::map<std::string, std::size_t> asked() const;

    /// How many connections there were.
    [[nodiscard]] std::size_t connections() const;

    /// How many of them were used for requests at the same time, at most.
    [[nodiscard]] std::size_t most_at_once() const;
    /// The names of the exports that were entered.
    [[nodiscard]] std::set<std::string> entered() const;

    /// What was found, in the order of the first times.
    [[nodiscard]] std::vector<WireFinding> findings() const;

  private:
    class Line;

    mutable std::mutex mutex_;
    wire::TranscriptWriter transcript_;
    wire::KnownSizes sizes_;
    std::map<std::uint32_t, std::unique_ptr<Line>> lines_;
    std::vector<WireFinding> findings_;
    std::map<nbd::Option, std::size_t> options_;
    std::map<nbd::Command, std::size_t> commands_;
    std::set<std::uint32_t> in_use_; ///< connections with requests that nobody has ended
    std::size_t most_in_use_ = 0;
};

} // namespace harness
