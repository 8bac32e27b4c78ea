#pragma once

// How a conformance case is carried out: internal to perform.cpp and performer_answers.cpp.

#include "harness/check/perform.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace harness::check {

/// The whole of a case takes no longer than so many answers.
inline constexpr int answers_in_a_case = 4;

/// The case cannot go on; it is not an error of anybody.
struct Ended {};
/// The case does not apply after all: an expression has no value for this server.
struct DoesNotApply {
    std::string why;
};

/// One connection of the case.
struct Line {
    std::unique_ptr<Exchange> exchange;
    /// What was sent last, and what came of it.
    bool last_is_option = false;
    std::uint64_t last_cookie = 0;
    std::string last_label;
    std::optional<OptionOutcome> option;
    bool over = false; ///< it has ended, or nothing more can be understood on it
};

/// Carries out one case. What it says of answers is in performer_answers.cpp, the rest in perform.cpp.
class Performer {
  public:
    Performer(const ServerCase& made, Style style, const ServerFacts& server,
              const Requirements& requirements, std::chrono::milliseconds patience)
      : case_(made)
      , style_(style)
      , server_(server)
      , requirements_(requirements)
      , patience_(patience)
      , deadline_(Clock::now() + answers_in_a_case * patience) {}

    Performance run();

  private:
    [[nodiscard]] const ExportFacts* exported() const;
    [[nodiscard]] std::uint64_t variable(const Line& line, const std::string& name) const;
    [[nodiscard]] Surroundings surroundings(const Line& line) const;
    [[nodiscard]] std::uint64_t value(const Number& number, const Line& line) const;

    void begin(std::uint32_t number, Start start);
    void step(const CheckStep& step);
    void send(const CheckStep& step, Line& line);
    void expect(const CheckStep& step, Line& line);
    void judge_outcome(const CheckStep& step, Line& line, const Outcome& came,
                       const std::string& description);
    /// The reads and writes that a case sends to any server may be too long for this one.
    [[nodiscard]] bool may_refuse_length(const nbd::Request& request) const;
    void hold(const CheckStep& step, Line& line);
    void look_at_data(const CheckStep& step, Line& line);
    void save(const CheckStep& step, Line& line);
    void usable(const CheckStep& step, Line& line);
    void greeted(const CheckStep& step, Line& line);
    void ends(const CheckStep& step, Line& line);
    [[nodiscard]] std::uint64_t cookie_of(const CheckStep& step, const Line& line) const;
    [[nodiscard]] bool on_option(const CheckStep& step, const Line& line) const {
        return step.of.empty() && line.last_is_option;
    }
    void find(const std::string& requirement, const CheckStep* step, const std::string& message,
              std::optional<reports::Verdict> verdict = {});
    /// Says what is wrong where no answer came; `requirement` is held against the server.
    void find_silence(const std::string& requirement, const CheckStep& step, Line& line,
                      const std::string& awaited);
    [[nodiscard]] bool probe(Line& line, std::string& trouble);

    const ServerCase& case_;
    Style style_;
    const ServerFacts& server_;
    const Requirements& requirements_;
    std::chrono::milliseconds patience_;
    Clock::time_point deadline_;
    WireLog log_;
    std::map<std::uint32_t, Line> lines_;
    std::map<std::string, std::uint64_t> cookies_; ///< by label
    Fields saved_;
    Fields last_fields_;
    std::vector<nbd::ServerReply> listed_;        ///< what the server has listed last
    std::map<std::string, RequestOutcome> reads_; ///< by label: what came of requests
    Performance result_;
    std::size_t number_ = 0; ///< of the step
    bool derailed_ = false;  ///< an answer broke a MUST, so that what was to come of it is not there
};

} // namespace harness::check
