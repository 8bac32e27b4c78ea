#pragma once

// The wire judge among lives: it looks on at some of them.

#include "harness/run/wire_record.hpp"
#include "harness/tap/tap.hpp"
#include "harness/wire/judge.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace harness {

/// Judges all connections to a server by way of a tap. Unlike WireRecord it keeps nothing of those that have
/// ended but what was found. Findings name the export, which is the combination.
class LifeJudge final : public TapObserver {
  public:
    LifeJudge();
    ~LifeJudge() override;

    void opened(std::uint32_t connection) override;
    void bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) override;
    void ended(std::uint32_t connection, wire::Side by, wire::End how) override;

    /// The server is about to be ended, or has ended by itself.
    void interfere();

    [[nodiscard]] std::vector<WireFinding> findings() const;
    /// Connections that were judged to their ends.
    [[nodiscard]] std::size_t judged() const;

  private:
    class Line;

    mutable std::mutex mutex_;
    wire::KnownSizes sizes_;
    std::map<std::uint32_t, std::unique_ptr<Line>> lines_;
    std::vector<WireFinding> findings_;
    std::size_t judged_ = 0;
};

} // namespace harness
