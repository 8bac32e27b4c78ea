#include "harness/run/wire_record.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace harness {

/// One connection.
class WireRecord::Line final : public wire::JudgeObserver {
  public:
    Line(WireRecord& record, std::uint32_t number)
      : record_(record)
      , number_(number)
      , judge_(*this, record.sizes_) {}

    void violation(const wire::Violation& violation) override {
        note(record_.findings_, violation, fmt::format("connection {}", number_));
    }

    void asked(nbd::Option option) override { ++record_.options_[option]; }
    void asked(nbd::Command command) override {
        ++record_.commands_[command];
        if (command == nbd::Command::disc) {
            record_.in_use_.erase(number_);
        } else {
            record_.in_use_.insert(number_);
            record_.most_in_use_ = std::max(record_.most_in_use_, record_.in_use_.size());
        }
    }

    void took(wire::Side from, nbd::Bytes bytes, bool bulk) override {
        bulk ? record_.transcript_.data(number_, from, bytes)
             : record_.transcript_.bytes(number_, from, bytes);
    }

    wire::Judge& judge() { return judge_; }

  private:
    WireRecord& record_;
    std::uint32_t number_;
    wire::Judge judge_;
};

void note(std::vector<WireFinding>& findings, const wire::Violation& violation, const std::string& where) {
    const auto known = std::ranges::find_if(findings, [&](const WireFinding& finding) {
        return finding.requirement == violation.requirement && finding.by == violation.by;
    });
    if (known != findings.end()) {
        ++known->times;
        return;
    }
    findings.push_back(
        {std::string(violation.requirement), violation.by, violation.mandatory, violation.what,
         fmt::format("{}, byte {} of the {}", where, violation.offset, wire::name(violation.by)), 1,
         violation.by_ending});
}

WireRecord::WireRecord(const std::filesystem::path& transcript, const std::string& title)
  : transcript_(transcript, title) {}

WireRecord::~WireRecord() = default;

void WireRecord::opened(std::uint32_t connection) {
    const std::scoped_lock lock(mutex_);
    transcript_.opened(connection);
    lines_[connection] = std::make_unique<Line>(*this, connection);
}

void WireRecord::bytes(std::uint32_t connection, wire::Side from, std::span<const std::uint8_t> bytes) {
    const std::scoped_lock lock(mutex_);
    lines_.at(connection)->judge().feed(from, bytes);
}

void WireRecord::ended(std::uint32_t connection, wire::Side by, wire::End how) {
    const std::scoped_lock lock(mutex_);
    lines_.at(connection)->judge().end(by, how);
    transcript_.ended(connection, by, how);
    in_use_.erase(connection);
}

void WireRecord::interfere() {
    const std::scoped_lock lock(mutex_);
    transcript_.stopped();
    for (const auto& [number, line] : lines_) {
        line->judge().stop();
    }
}

std::vector<std::string> WireRecord::not_judged() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> reasons;
    for (const auto& [number, line] : lines_) {
        const std::string& why = line->judge().lost();
        if (!why.empty() && std::ranges::find(reasons, why) == reasons.end()) {
            reasons.push_back(why);
        }
    }
    return reasons;
}

std::map<std::string, std::size_t> WireRecord::asked() const {
    const std::scoped_lock lock(mutex_);
    std::map<std::string, std::size_t> names;
    for (const auto& [option, times] : options_) {
        names[nbd::name(option)] += times;
    }
    for (const auto& [command, times] : commands_) {
        names[nbd::name(command)] += times;
    }
    return names;
}

std::size_t WireRecord::connections() const {
    const std::scoped_lock lock(mutex_);
    return lines_.size();
}

std::size_t WireRecord::most_at_once() const {
    const std::scoped_lock lock(mutex_);
    return most_in_use_;
}

std::set<std::string> WireRecord::entered() const {
    const std::scoped_lock lock(mutex_);
    std::set<std::string> names;
    for (const auto& [number, line] : lines_) {
        if (const auto& export_ = line->judge().state().entered) {
            names.insert(export_->name);
        }
    }
    return names;
}

std::vector<WireFinding> WireRecord::findings() const {
    const std::scoped_lock lock(mutex_);
    return findings_;
}

} // namespace harness
