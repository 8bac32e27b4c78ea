#include "reports/summary.hpp"

#include "reports/aggregate.hpp"
#include "reports/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace reports {
namespace {

constexpr std::size_t most_characters_of_message = 120;

/// Bold, in red or, for a warning, in yellow.
std::string coloured(std::string_view text, Verdict verdict, bool colour) {
    if (!colour) {
        return std::string(text);
    }
    return fmt::format("\x1b[1;{}m{}\x1b[0m", verdict == Verdict::warn ? 33 : 31, text);
}

std::string problem_line(const Problem& problem, bool colour) {
    const auto verdict = fmt::format("{:<7}", name(problem.verdict));
    auto out = fmt::format("  {} {}: {}", coloured(verdict, problem.verdict, colour), one_line(problem.who),
                           one_line(problem.message, most_characters_of_message));
    if (!problem.requirement.empty()) {
        out += fmt::format(" [{}]", one_line(problem.requirement));
    }
    const auto example = one_line(problem.cases.front()->id);
    out += problem.cases.size() == 1
               ? fmt::format(" ({})", example)
               : fmt::format(" ({}, e.g. {})", counted(problem.cases.size(), "case"), example);
    return out + "\n";
}

std::string unlisted_problems(const RunResult& run, const SummaryOptions& options) {
    auto problems = find_problems(run);
    std::erase_if(problems, [](const Problem& problem) { return !problem.deviation.empty(); });
    if (problems.empty()) {
        return "";
    }
    std::string out = "Problems that are not listed as known deviations:\n";
    const auto shown = std::min(problems.size(), options.most_problems);
    for (std::size_t i = 0; i < shown; ++i) {
        out += problem_line(problems[i], options.colour);
    }
    if (shown < problems.size()) {
        out += fmt::format("  ... and {} more\n", problems.size() - shown);
    }
    return out + "\n";
}

std::string stale_deviations(const RunResult& run, const SummaryOptions& options) {
    if (run.stale.empty()) {
        return "";
    }
    std::string out = "Listed deviations that were not seen (fixed? then take them off the list):\n";
    const auto shown = std::min(run.stale.size(), options.most_problems);
    for (std::size_t i = 0; i < shown; ++i) {
        out += fmt::format("  {} ({})\n", one_line(run.stale[i].id), one_line(run.stale[i].peer));
    }
    if (shown < run.stale.size()) {
        out += fmt::format("  ... and {} more\n", run.stale.size() - shown);
    }
    return out + "\n";
}

std::string missing_peers(const RunResult& run) {
    std::vector<std::string> missing;
    for (const auto& peer : run.peers) {
        if (!peer.version) {
            missing.push_back(fmt::format("{} {}", peer.role, one_line(peer.name)));
        }
    }
    return missing.empty() ? "" : fmt::format("Not installed: {}\n", fmt::join(missing, ", "));
}

std::string counts_besides(const Tally& counts) {
    std::vector<std::string> parts;
    const auto add = [&parts](std::size_t count, std::string_view noun) {
        if (count > 0) {
            parts.push_back(fmt::format("{} {}{}", count, noun,
                                        count == 1        ? ""
                                        : noun == "crash" ? "es"
                                                          : "s"));
        }
    };
    add(counts[Verdict::timeout], "timeout");
    add(counts[Verdict::crash], "crash");
    add(counts[Verdict::error], "error");
    add(counts.known(), "known deviation");
    return parts.empty() ? "" : fmt::format("{}\n", fmt::join(parts, ", "));
}

} // namespace

std::string summary(const RunResult& run, const SummaryOptions& options) {
    const auto counts = tally(run);
    const auto matrix = make_matrix(run);
    const auto present = [](const std::vector<Seat>& seats) {
        return static_cast<std::size_t>(std::ranges::count(seats, true, &Seat::installed));
    };
    std::string out = unlisted_problems(run, options) + stale_deviations(run, options) + missing_peers(run);
    out += fmt::format("{}, {} by {} (variants counted), in {:.1f} s\n", counted(counts.total(), "case"),
                       counted(present(matrix.servers), "server"), counted(present(matrix.clients), "client"),
                       std::max(run.seconds, 0.0));
    out += counts_besides(counts);
    out += fmt::format("{} passed, {} failed, {} warned, {} unsupported\n", counts[Verdict::pass],
                       counts[Verdict::fail], counts[Verdict::warn], counts[Verdict::unsupported]);
    return out;
}

} // namespace reports
