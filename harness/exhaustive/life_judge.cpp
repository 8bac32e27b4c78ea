#include "harness/exhaustive/life_judge.hpp"

#include "protocol/describe.hpp"

#include <fmt/format.h>

namespace harness {

/// One connection.
class LifeJudge::Line final : public wire::JudgeObserver {
  public:
    explicit Line(LifeJudge& owner)
      : owner_(owner)
      , judge_(*this, owner.sizes_) {}

    void violation(const wire::Violation& violation) override {
        const wire::State& state = judge_.state();
        note(owner_.findings_, violation,
             fmt::format("export {}", state.entered ? nbd::quoted(state.entered->name) : "not entered yet"));
    }

    wire::Judge& judge() { return judge_; }

  private:
    LifeJudge& owner_;
    wire::Judge judge_;
};

LifeJudge::LifeJudge() = default;
LifeJudge::~LifeJudge() = default;

void LifeJudge::opened(std::uint32_t connection) {
    const std::scoped_lock lock(mutex_);
    lines_[connection] = std::make_unique<Line>(*this);
}

void LifeJudge::bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) {
    const std::scoped_lock lock(mutex_);
    lines_.at(connection)->judge().feed(from, bytes);
}

void LifeJudge::ended(std::uint32_t connection, wire::Side by, wire::End how) {
    const std::scoped_lock lock(mutex_);
    wire::Judge& judge = lines_.at(connection)->judge();
    judge.end(by, how);
    if (how == wire::End::reset || judge.state().ended_by(wire::other(by))) {
        judged_ += judge.lost().empty() ? 1U : 0U;
        lines_.erase(connection);
    }
}

void LifeJudge::interfere() {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, line] : lines_) {
        line->judge().stop();
    }
}

std::vector<WireFinding> LifeJudge::findings() const {
    const std::scoped_lock lock(mutex_);
    return findings_;
}

std::size_t LifeJudge::judged() const {
    const std::scoped_lock lock(mutex_);
    return judged_;
}

} // namespace harness
