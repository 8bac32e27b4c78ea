#pragma once

// Plays conversations through a twist without sockets.

#include "faults/exchange.hpp"

#include <cstdint>
#include <vector>

namespace faults::testing {

/// An exchange whose steps are collected.
class Play {
  public:
    explicit Play(const Recipe& recipe)
      : exchange_(recipe.make()) {}

    Play& send(Side from, const nbd::Buffer& bytes) {
        exchange_.receive(from, bytes);
        return *this;
    }
    Play& send(const Message& message) {
        const Side from = std::visit([](const auto& one) { return Side{one.from}; }, message);
        return send(from, encode(message));
    }
    Play& end(Side who) {
        exchange_.end(who);
        return *this;
    }

    /// What arrived at a side, and is taken out with this.
    [[nodiscard]] nbd::Buffer take(Side to) {
        nbd::Buffer all;
        for (const Step& step : exchange_.steps(to)) {
            if (const auto* const sent = std::get_if<Send>(&step)) {
                all.insert(all.end(), sent->bytes.begin(), sent->bytes.end());
            }
        }
        exchange_.steps(to).clear();
        return all;
    }
    [[nodiscard]] Exchange& exchange() { return exchange_; }

  private:
    Exchange exchange_;
};

} // namespace faults::testing
