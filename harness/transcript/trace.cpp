#include "harness/transcript/trace.hpp"

#include <algorithm>
#include <memory>

namespace wire {
namespace {

/// Bytes of a message that a trace has.
constexpr std::size_t shown_bytes = 64;

/// Turns what the judge of a connection tells into lines.
class Line final : public JudgeObserver {
  public:
    Line(Trace& trace, KnownSizes& sizes, std::uint32_t connection)
      : trace_(trace)
      , connection_(connection)
      , judge_(*this, sizes) {}

    [[nodiscard]] bool wants_messages() const override { return true; }

    void message(const Message& message) override {
        TraceLine line;
        line.at = now;
        line.connection = connection_;
        line.from = message.from;
        line.offset = message.offset;
        line.text = message.text;
        const Kept& kept = kept_[static_cast<int>(message.from)];
        if (message.offset >= kept.begin && message.offset - kept.begin <= kept.bytes.size()) {
            const auto from = kept.bytes.begin() + static_cast<std::ptrdiff_t>(message.offset - kept.begin);
            const auto size =
                std::min<std::size_t>(shown_bytes, static_cast<std::size_t>(kept.bytes.end() - from));
            line.bytes.assign(from, from + static_cast<std::ptrdiff_t>(size));
        }
        trace_.lines.push_back(std::move(line));
    }

    void violation(const Violation& violation) override {
        trace_.lines.back().violations.push_back(violation);
    }

    void took(Side from, nbd::Bytes bytes, bool bulk) override {
        Kept& kept = kept_[static_cast<int>(from)];
        if (bulk) {
            kept.begin += kept.bytes.size() + bytes.size();
            kept.bytes.clear();
            return;
        }
        // Only the message at hand is looked at, whose pieces follow one another.
        constexpr std::size_t enough = Judge::longest_kept + 1024;
        if (kept.bytes.size() > enough) {
            kept.begin += kept.bytes.size();
            kept.bytes.clear();
        }
        kept.bytes.insert(kept.bytes.end(), bytes.begin(), bytes.end());
    }

    void skipped(Side from, std::uint64_t bytes) { kept_[static_cast<int>(from)].begin += bytes; }

    /// A line that is no message.
    void remark(Side from, std::string text) {
        TraceLine line;
        line.at = now;
        line.connection = connection_;
        line.from = from;
        line.offset = 0;
        line.text = std::move(text);
        trace_.lines.push_back(std::move(line));
    }

    Judge& judge() { return judge_; }

    std::chrono::microseconds now{0};

  private:
    /// The last bytes of a side that are no data.
    struct Kept {
        std::uint64_t begin = 0; ///< where they begin among the bytes of that side
        nbd::Buffer bytes;
    };

    Trace& trace_;
    std::uint32_t connection_;
    Kept kept_[2];
    Judge judge_;
};

} // namespace

std::size_t Trace::violations() const {
    std::size_t count = 0;
    for (const TraceLine& line : lines) {
        count += line.violations.size();
    }
    return count;
}

Trace trace(const Transcript& transcript) {
    using Kind = TranscriptRecord::Kind;
    Trace result;
    KnownSizes sizes;
    std::map<std::uint32_t, std::unique_ptr<Line>> lines;
    for (const TranscriptRecord& record : transcript.records) {
        if (record.kind == Kind::stopped) {
            for (const auto& [number, line] : lines) {
                line->judge().stop();
            }
            continue;
        }
        auto& line = lines[record.connection];
        if (!line || record.kind == Kind::opened) {
            line = std::make_unique<Line>(result, sizes, record.connection);
        }
        line->now = record.at;
        switch (record.kind) {
        case Kind::opened:
            line->remark(Side::client, "connects");
            break;
        case Kind::bytes:
        case Kind::data:
            line->judge().feed(record.side, record.bytes);
            break;
        case Kind::left_out:
            line->skipped(record.side, record.left_out);
            line->judge().skip(record.side, record.left_out);
            break;
        case Kind::ended:
            line->remark(record.side, record.how == End::closed ? "closes" : "closes by force");
            line->judge().end(record.side, record.how);
            break;
        case Kind::stopped:
            break;
        }
    }
    for (const auto& [number, line] : lines) {
        if (!line->judge().lost().empty()) {
            result.lost.emplace_back(number, line->judge().lost());
        }
    }
    return result;
}

} // namespace wire
