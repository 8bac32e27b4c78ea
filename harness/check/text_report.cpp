#include "harness/check/text_report.hpp"

#include "harness/transcript/print.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace harness::check {
namespace {

using reports::CaseResult;
using reports::Verdict;

/// Lines of a trace that are shown before and behind those that matter.
constexpr std::size_t most_trace_lines = 24;

struct Look {
    std::string_view symbol;
    std::string_view colour;
};

Look look_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass:
        return {"✓", "\x1b[32m"};
    case Verdict::warn:
        return {"⚠", "\x1b[33;1m"};
    case Verdict::unsupported:
        return {"–", "\x1b[2m"};
    default:
        return {"✗", "\x1b[31;1m"};
    }
}

std::string painted(std::string_view text, std::string_view colour, bool wanted) {
    return wanted ? fmt::format("{}{}\x1b[0m", colour, text) : std::string(text);
}

/// The messages of a case, the last of them where there are very many.
std::string trace_text(const wire::Transcript& transcript, const wire::LevelOf& level, bool colour) {
    wire::Trace trace = wire::trace(transcript);
    std::string text;
    if (trace.lines.size() > most_trace_lines) {
        text = fmt::format("        … {} messages before\n", trace.lines.size() - most_trace_lines);
        trace.lines.erase(trace.lines.begin(), trace.lines.end() - most_trace_lines);
    }
    // What the suite itself sends against the rules is its purpose.
    for (wire::TraceLine& line : trace.lines) {
        std::erase_if(line.violations,
                      [](const wire::Violation& violation) { return violation.by == wire::Side::client; });
    }
    std::istringstream lines(wire::to_text(trace, level, colour));
    for (std::string line; std::getline(lines, line);) {
        text += "      " + line + "\n";
    }
    return text;
}

/// What --case takes: the case, with its style where it has one.
std::string label_of(const CaseResult& item) {
    constexpr std::string_view by_suite = "/check/";
    const auto at = item.id.find(by_suite);
    return at == std::string::npos ? item.scenario.substr(by_suite.size() - 1)
                                   : item.id.substr(at + by_suite.size());
}

class Report {
  public:
    Report(const SuiteResult& result, const Requirements& requirements, const TextOptions& options)
      : result_(result)
      , requirements_(requirements)
      , options_(options) {}

    std::string text();

  private:
    [[nodiscard]] std::string case_text(const CaseResult& item);
    [[nodiscard]] std::string unsupported_text() const;

    const SuiteResult& result_;
    const Requirements& requirements_;
    const TextOptions& options_;
    const CaseResult* last_shown_ = nullptr;
};

std::string Report::case_text(const CaseResult& item) {
    const Look look = look_of(item.verdict);
    const std::string label = label_of(item);
    std::string text =
        fmt::format("  {} {}: {}\n", painted(look.symbol, look.colour, options_.colour), label, item.title);
    if (item.verdict == Verdict::pass) {
        return text;
    }
    if (item.verdict == Verdict::unsupported) {
        return text + fmt::format("      {}\n", item.reason);
    }
    // In another style of replies the same went wrong: once is enough.
    if (last_shown_ != nullptr && last_shown_->scenario == item.scenario &&
        last_shown_->findings == item.findings) {
        return text + "      the same as above\n";
    }
    last_shown_ = &item;
    for (const reports::Finding& finding : item.findings) {
        const auto requirement = requirements_.find(finding.requirement);
        text += fmt::format(
            "      {} {}",
            painted(reports::name(finding.verdict), look_of(finding.verdict).colour, options_.colour),
            finding.requirement);
        if (requirement != requirements_.end()) {
            text += fmt::format(" ({}): {}", requirement->second.level == Level::must ? "MUST" : "SHOULD",
                                requirement->second.text);
        }
        text += fmt::format("\n        step {}: {}\n", finding.step, finding.message);
        if (!finding.deviation.empty()) {
            text += fmt::format("        known of this version: deviation {}\n", finding.deviation);
        }
    }
    if (const auto found = options_.ambiguous.find(item.scenario); found != options_.ambiguous.end()) {
        text += fmt::format("        the text can be read in two ways, and the case accepts both: {}\n",
                            found->second);
    }
    if (const auto trace = result_.traces.find(item.id); trace != result_.traces.end()) {
        text += trace_text(
            trace->second, [this](std::string_view id) { return level_text(requirements_, id); },
            options_.colour);
    }
    // Neither is a case that can be selected: the wire goes along with all of them, and so do the ordinary
    // servers.
    if (!item.scenario.starts_with("check/wire-") && item.scenario != "check/baseline") {
        std::string again = options_.again;
        constexpr std::string_view place = "{case}";
        again.replace(again.find(place), place.size(), label);
        text += fmt::format("      again: {}\n", again);
    }
    return text;
}

std::string Report::unsupported_text() const {
    std::map<std::string, std::size_t> reasons;
    for (const CaseResult& item : result_.run.cases) {
        if (item.verdict == Verdict::unsupported) {
            ++reasons[item.reason];
        }
    }
    std::string text;
    for (const auto& [reason, count] : reasons) {
        text += fmt::format("  {:>4} not run: {}\n", count, reason);
    }
    return text;
}

std::string Report::text() {
    std::string out = fmt::format("{}: {}\n", result_.run.suite, result_.facts);
    std::vector<std::string> sections;
    for (const CaseResult& item : result_.run.cases) {
        if (std::ranges::find(sections, item.group) == sections.end()) {
            sections.push_back(item.group);
        }
    }
    for (const std::string& section : sections) {
        std::string shown;
        std::size_t passed = 0;
        std::size_t ran = 0;
        for (const CaseResult& item : result_.run.cases) {
            if (item.group != section) {
                continue;
            }
            ran += item.verdict != Verdict::unsupported ? 1 : 0;
            passed += item.verdict == Verdict::pass ? 1 : 0;
            const bool interesting = item.verdict != Verdict::pass && item.verdict != Verdict::unsupported;
            if (interesting || options_.verbose) {
                shown += case_text(item);
            }
        }
        if (!shown.empty()) {
            out += fmt::format("\n{}: {} of {} passed\n{}", section, passed, ran, shown);
        }
    }
    out += "\n";
    if (!options_.verbose) {
        out += unsupported_text();
    }
    if (!options_.unseen.empty()) {
        out += fmt::format("  {:>4} listed deviations of this version did not show: {}\n",
                           options_.unseen.size(), fmt::join(options_.unseen, ", "));
    }
    if (!result_.given_up.empty()) {
        out += fmt::format("The suite ended early: {}\n", result_.given_up);
    }
    return out + counts_line(result_.run) + "\n";
}

} // namespace

std::string counts_line(const reports::RunResult& run) {
    std::size_t passed = 0;
    std::size_t failed = 0;
    std::size_t warned = 0;
    std::size_t unsupported = 0;
    for (const CaseResult& item : run.cases) {
        switch (item.verdict) {
        case Verdict::pass:
            ++passed;
            break;
        case Verdict::warn:
            ++warned;
            break;
        case Verdict::unsupported:
            ++unsupported;
            break;
        default:
            ++failed;
        }
    }
    return fmt::format("{} passed, {} failed, {} warned, {} unsupported", passed, failed, warned,
                       unsupported);
}

std::string to_text(const SuiteResult& result, const Requirements& requirements, const TextOptions& options) {
    return Report(result, requirements, options).text();
}

} // namespace harness::check
